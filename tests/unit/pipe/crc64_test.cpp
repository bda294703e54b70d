// The checksum at the end of an RDB.
#include "bba/pipe/crc64.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace bba;
using pipe::add_to_crc64;

TEST_CASE("crc64: the value that Redis tests its own with") {
  CHECK(add_to_crc64(0, "123456789") == 0xe9c6d914c4b8d9caU);
  CHECK(add_to_crc64(0, "") == 0);
}

TEST_CASE("crc64: the same at every split") {
  const std::string text = "This is a test of the emergency broadcast system.";
  const std::uint64_t whole = add_to_crc64(0, text);
  for (std::size_t split = 0; split <= text.size(); ++split) {
    CAPTURE(split);
    CHECK(add_to_crc64(add_to_crc64(0, text.substr(0, split)), text.substr(split)) == whole);
  }
  std::string other = text;
  other.back() ^= 1;
  CHECK(add_to_crc64(0, other) != whole);
}
