#include "tar_header.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "bba/base/number.hpp"
#include "bba/base/text.hpp"

namespace bba::pipe {

namespace {

[[noreturn]] void refuse(std::string cause) {
  throw Error(ErrorKind::artifact, cause);
}

struct Field {
  std::size_t offset;
  std::size_t size;
};

// POSIX.1-2001, pax, "ustar Interchange Format".
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8},
    size_field{124, 12}, mtime_field{136, 12}, checksum_field{148, 8}, link_field{157, 100},
    magic_field{257, 8}, dev_major_field{329, 8}, dev_minor_field{337, 8}, prefix_field{345, 155};
constexpr std::size_t type_offset = 156;

std::string_view raw(TarBlock block, Field field) {
  return as_text(block).substr(field.offset, field.size);
}

// Up to the first NUL, or the whole field.
std::string_view text(TarBlock block, Field field) {
  const std::string_view all = raw(block, field);
  return all.substr(0, all.find('\0'));
}

// Octal digits, blanks around them; nothing at all is 0. GNU's base-256 where the top bit is set: a
// two's complement number, most significant byte first.
std::int64_t number(TarBlock block, Field field, std::string_view what) {
  const std::string_view all = raw(block, field);
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(all[i]); };
  if ((byte(0) & 0x80) != 0) {
    const bool negative = (byte(0) & 0x40) != 0;
    const unsigned inversion = negative ? 0xFF : 0;
    std::uint64_t value = (byte(0) ^ inversion) & 0x7F;
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (value >> 55 != 0) refuse(fmt::format("its {} does not fit into 64 bits", what));
      value = value << 8 | (byte(i) ^ inversion);
    }
    const auto magnitude = static_cast<std::int64_t>(value);
    return negative ? -1 - magnitude : magnitude;
  }
  constexpr std::string_view blanks(" \0", 2);
  const std::size_t first = all.find_first_not_of(blanks);
  if (first == std::string_view::npos) return 0;
  const std::string_view digits = all.substr(first, all.find_first_of(blanks, first) - first);
  std::int64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '7') refuse(fmt::format("its {} is not an octal number", what));
    value = value * 8 + (digit - '0');
  }
  if (all.find_first_not_of(blanks, first + digits.size()) != std::string_view::npos) {
    refuse(fmt::format("its {} is not an octal number", what));
  }
  return value;
}

std::uint64_t unsigned_number(TarBlock block, Field field, std::string_view what) {
  const std::int64_t value = number(block, field, what);
  if (value < 0) refuse(fmt::format("its {} is negative", what));
  return static_cast<std::uint64_t>(value);
}

std::uint32_t small(std::uint64_t value, std::string_view what) {
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    refuse(fmt::format("its {} does not fit into 32 bits", what));
  }
  return static_cast<std::uint32_t>(value);
}

void check_sum(TarBlock block) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= checksum_field.offset && i < checksum_field.offset + checksum_field.size;
    sum += own ? ' ' : std::to_integer<int>(block[i]);
  }
  if (number(block, checksum_field, "checksum") != sum) refuse("the header's checksum is wrong");
}

// Decimal digits only: no sign, no blanks.
std::uint64_t decimal(std::string_view value, std::string_view keyword) {
  const auto result = parse_number<std::uint64_t>(value);
  if (!result || *result > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    refuse(fmt::format("its pax record {} is not a number that fits", keyword));
  }
  return *result;
}

// "-?seconds[.fraction]", rounded towards the past, as a file's st_mtim.tv_sec is.
std::int64_t pax_time(std::string_view value) {
  const bool negative = value.starts_with('-');
  if (negative) value.remove_prefix(1);
  const std::size_t point = value.find('.');
  const auto seconds = static_cast<std::int64_t>(decimal(value.substr(0, point), "mtime"));
  bool whole = true;
  if (point != std::string_view::npos) {
    for (const char digit : value.substr(point + 1)) {
      if (digit < '0' || digit > '9') refuse("its pax record mtime is not a time");
      whole = whole && digit == '0';
    }
  }
  if (!negative) return seconds;
  return whole ? -seconds : -1 - seconds;
}

std::string pax_name(const std::string& value, std::string_view keyword) {
  if (value.find('\0') != std::string::npos) {
    refuse(fmt::format("its pax record {} holds a NUL", keyword));
  }
  return value;
}

}  // namespace

bool only_zeros(ByteView bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

TarHeader parse_tar_header(TarBlock block) {
  check_sum(block);
  constexpr std::string_view posix_magic("ustar\00000", 8), gnu_magic("ustar  \0", 8),
      no_magic("\0\0\0\0\0\0\0\0", 8);
  const std::string_view magic = raw(block, magic_field);
  if (magic != posix_magic && magic != gnu_magic && magic != no_magic) {
    refuse("the header is neither POSIX nor GNU nor v7");
  }

  TarHeader header;
  TarEntry& entry = header.entry;
  header.type = static_cast<char>(block[type_offset]);
  entry.path = text(block, name_field);
  // GNU keeps times where POSIX keeps the front of a long path.
  if (magic == posix_magic && !text(block, prefix_field).empty()) {
    entry.path = std::string(text(block, prefix_field)) + '/' + entry.path;
  }
  entry.link = text(block, link_field);
  entry.size = unsigned_number(block, size_field, "size");
  entry.mode = static_cast<std::uint32_t>(unsigned_number(block, mode_field, "mode") & 07777);
  entry.uid = unsigned_number(block, uid_field, "uid");
  entry.gid = unsigned_number(block, gid_field, "gid");
  entry.mtime = number(block, mtime_field, "mtime");
  if (magic != no_magic && (header.type == '3' || header.type == '4')) {
    entry.dev_major = small(unsigned_number(block, dev_major_field, "device"), "device");
    entry.dev_minor = small(unsigned_number(block, dev_minor_field, "device"), "device");
  }
  return header;
}

// Each record is "length keyword=value\n", the length counting all of it.
PaxRecords parse_pax_records(std::string_view content) {
  PaxRecords records;
  while (!content.empty()) {
    std::size_t length = 0;
    const char* const begin = content.data();
    const auto [space, error] = std::from_chars(begin, begin + content.size(), length);
    const auto digits = static_cast<std::size_t>(space - begin);
    if (error != std::errc() || length > content.size() || length < digits + 2 ||
        content[digits] != ' ' || content[length - 1] != '\n') {
      refuse("a pax record is broken");
    }
    const std::string_view record = content.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == 0 || equals == std::string_view::npos) refuse("a pax record is broken");
    records.insert_or_assign(std::string(record.substr(0, equals)),
                             std::string(record.substr(equals + 1)));
    content.remove_prefix(length);
  }
  return records;
}

std::string parse_gnu_name(std::string_view content) {
  const std::string_view name = content.substr(0, content.find('\0'));
  if (name.empty()) refuse("a GNU long name is empty");
  if (!only_zeros(as_bytes(content.substr(name.size())))) {
    refuse("a GNU long name continues after its NUL");
  }
  return std::string(name);
}

void apply_extensions(TarEntry& entry, const PaxRecords& records,
                      const std::optional<std::string>& gnu_path,
                      const std::optional<std::string>& gnu_link) {
  constexpr std::string_view xattr_prefix = "SCHILY.xattr.";
  if ((gnu_path && records.contains("path")) || (gnu_link && records.contains("linkpath"))) {
    refuse("it is named by a GNU and by a pax header");
  }
  if (gnu_path) entry.path = *gnu_path;
  if (gnu_link) entry.link = *gnu_link;
  for (const auto& [keyword, value] : records) {
    if (keyword.starts_with(xattr_prefix)) {
      entry.xattrs.emplace(keyword.substr(xattr_prefix.size()), value);
    } else if (keyword.starts_with("GNU.sparse.")) {
      refuse("it is stored as a sparse file, which this reader does not support");
    } else if (value.empty()) {
      continue;  // POSIX: as though the record were not there
    } else if (keyword == "path") {
      entry.path = pax_name(value, keyword);
    } else if (keyword == "linkpath") {
      entry.link = pax_name(value, keyword);
    } else if (keyword == "size") {
      entry.size = decimal(value, keyword);
    } else if (keyword == "uid") {
      entry.uid = decimal(value, keyword);
    } else if (keyword == "gid") {
      entry.gid = decimal(value, keyword);
    } else if (keyword == "mtime") {
      entry.mtime = pax_time(value);
    } else if (keyword == "SCHILY.devmajor") {
      entry.dev_major = small(decimal(value, keyword), keyword);
    } else if (keyword == "SCHILY.devminor") {
      entry.dev_minor = small(decimal(value, keyword), keyword);
    }
  }
}

}  // namespace bba::pipe
