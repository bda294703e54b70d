// The manifest's own checksum: its last key, `sha256`, is that of every byte before its line, so
// that every edit is found. `head -n -2 FILE | sha256sum` computes it.
#pragma once

#include <string>
#include <string_view>

#include "bba/base/json.hpp"

namespace bba::store {

// The text of a manifest's file: `manifest` and its checksum.
std::string with_checksum(const Json& manifest);
// What is wrong with the checksum of a manifest's file; empty where it is right.
std::string checksum_error(std::string_view file);

}  // namespace bba::store
