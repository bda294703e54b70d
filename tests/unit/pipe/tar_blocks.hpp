// Tars for tests, built block by block, so that any field can be wrong. And a visitor that records
// what it is shown.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bba/pipe/tar.hpp"
#include "unit/pipe/support.hpp"

namespace bba::pipe::test {

inline std::string octal(std::uint64_t value, std::size_t width) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*llo", static_cast<int>(width - 1),
                static_cast<unsigned long long>(value));
  return std::string(text.data()) + '\0';
}

inline std::string base256(std::int64_t value, std::size_t width) {
  std::string text(width, value < 0 ? '\xFF' : '\0');
  for (std::size_t i = 0; i < 8 && i < width; ++i) {
    text[width - 1 - i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
  text[0] = static_cast<char>(text[0] | '\x80');
  return text;
}

struct HeaderFields {
  std::string name;
  char type = '0';
  std::string size = octal(0, 12);
  std::string link = {};
  std::string mode = octal(0644, 8);
  std::string uid = octal(0, 8);
  std::string gid = octal(0, 8);
  std::string mtime = octal(1'000'000'000, 12);
  std::string magic = std::string("ustar\00000", 8);
  std::string dev_major = octal(0, 8);
  std::string dev_minor = octal(0, 8);
  std::string prefix = {};
};

// Puts the correct checksum into a header block.
inline std::string with_checksum(std::string block) {
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  block.replace(148, 8, octal(sum, 7) + ' ');
  return block;
}

inline std::string header_block(const HeaderFields& fields) {
  std::string block(512, '\0');
  block.replace(0, fields.name.size(), fields.name);
  block.replace(100, 8, fields.mode);
  block.replace(108, 8, fields.uid);
  block.replace(116, 8, fields.gid);
  block.replace(124, 12, fields.size);
  block.replace(136, 12, fields.mtime);
  block[156] = fields.type;
  block.replace(157, fields.link.size(), fields.link);
  block.replace(257, 8, fields.magic);
  block.replace(329, 8, fields.dev_major);
  block.replace(337, 8, fields.dev_minor);
  block.replace(345, fields.prefix.size(), fields.prefix);
  return with_checksum(block);
}

inline std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}

inline std::string file_entry(const std::string& name, const std::string& content,
                              char type = '0') {
  return header_block({.name = name, .type = type, .size = octal(content.size(), 12)}) +
         padded(content);
}

inline std::string pax_record(const std::string& keyword, const std::string& value) {
  const std::string rest = " " + keyword + "=" + value + "\n";
  std::size_t length = rest.size();
  while (std::to_string(length).size() + rest.size() != length) {
    length = std::to_string(length).size() + rest.size();
  }
  return std::to_string(length) + rest;
}

inline std::string pax_header(const std::string& records) {
  return file_entry("PaxHeaders.0/x", records, 'x');
}

inline const std::string end_blocks(1024, '\0');

class Visitor : public TarVisitor {
 public:
  bool entry(const TarEntry& entry) override {
    entries.push_back(entry);
    contents.emplace_back();
    ended.push_back(false);
    return !left_out.contains(entry.path);
  }
  void data(const Chunk& chunk) override { contents.back() += chunk.text(); }
  void entry_end() override { ended.back() = true; }

  std::set<std::string> left_out;
  std::vector<TarEntry> entries;
  std::vector<std::string> contents;
  std::vector<bool> ended;
};

// Reads a complete tar; returns "" or the error's message.
inline std::string tar_error(std::string_view tar, std::size_t step = 1 << 20) {
  Visitor visitor;
  TarReader reader(visitor, nullptr);
  return error_of([&] { feed(reader, tar, step); });
}

inline Visitor read_tar(std::string_view tar, std::size_t step = 1 << 20) {
  Visitor visitor;
  TarReader reader(visitor, nullptr);
  feed(reader, tar, step);
  return visitor;
}

}  // namespace bba::pipe::test
