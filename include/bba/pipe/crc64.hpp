// CRC-64 as Redis uses it (Jones: polynomial 0xad93d23594c935a9, reflected, from 0, nothing added
// at the end).
#pragma once

#include <cstdint>

#include "bba/base/bytes.hpp"

namespace bba::pipe {

// `crc` of what came before, 0 at the beginning.
std::uint64_t add_to_crc64(std::uint64_t crc, std::string_view bytes);

}  // namespace bba::pipe
