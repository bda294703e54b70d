// Compares what a dump of databases holds with what is said of it, or with what came back of it.
#pragma once

#include <cstdint>
#include <string>

#include "bba/base/json.hpp"

namespace bba::service {

// The first thing in which two values of a dump's "databases" (docs/manifest.md) differ, for
// people.
std::string database_difference(const Json& said, const Json& counted);

// Throws Error{artifact} where as many `what` were not restored as the dump holds.
void require_equal(const std::string& what, std::uint64_t restored, std::uint64_t dumped);

}  // namespace bba::service
