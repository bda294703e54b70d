// The manifest's sum of itself. Its last key, `sha256`, is that of every byte before the line that
// it stands on, so that no edit goes unseen, and `head -n -2 FILE | sha256sum` repeats it.
#pragma once

#include <string>
#include <string_view>

#include "bba/base/json.hpp"

namespace bba::store {

// The text of a manifest's file, from all that it says but the sum.
std::string with_checksum(const Json& manifest);
// What is wrong with the sum that a manifest's file carries; empty where it fits.
std::string checksum_error(std::string_view file);

}  // namespace bba::store
