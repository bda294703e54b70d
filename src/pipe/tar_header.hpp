// What one tar header block (POSIX ustar, GNU, v7) and one run of pax records say, taken strictly.
// The stream around them is TarReader's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bba/base/bytes.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::pipe {

constexpr std::size_t tar_block = 512;
using TarBlock = std::span<const std::byte, tar_block>;

// A header block's fields; `entry` lacks what the records before it say.
struct TarHeader {
  char type = '0';  // the type flag as it stands there
  TarEntry entry;
};

// Throws Error{artifact} saying what is wrong, without saying where: the caller knows the offset.
TarHeader parse_tar_header(TarBlock block);

// A pax extended header's records; of a repeated keyword the last one.
using PaxRecords = std::map<std::string, std::string, std::less<>>;
PaxRecords parse_pax_records(std::string_view content);

// The name in the content of a GNU 'L' or 'K' header.
std::string parse_gnu_name(std::string_view content);

// Lets the records, and GNU names where there are some, overrule the fields of the header block.
void apply_extensions(TarEntry& entry, const PaxRecords& records,
                      const std::optional<std::string>& gnu_path,
                      const std::optional<std::string>& gnu_link);

bool only_zeros(ByteView bytes) noexcept;

}  // namespace bba::pipe
