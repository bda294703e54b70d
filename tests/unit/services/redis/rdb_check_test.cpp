#include "services/redis/rdb_check.hpp"

#include <cstdint>

#include "unit/pipe/support.hpp"

namespace bba::services::redis {
namespace {

namespace test = pipe::test;

// The CRC64 of Redis, bit by bit: slow, and written from its definition alone.
std::uint64_t crc64_jones(std::string_view text) {
  std::uint64_t crc = 0;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      constexpr std::uint64_t reflected_polynomial = 0x95AC9329AC4BC9B5;
      crc = (crc & 1) != 0 ? crc >> 1 ^ reflected_polynomial : crc >> 1;
    }
  }
  return crc;
}

std::string little_endian(std::uint64_t value) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string with_sum(const std::string& text) {
  return text + little_endian(crc64_jones(text));
}

std::string rdb_error(std::string_view text, std::size_t step = 4096) {
  RdbCheck check;
  return test::error_of([&] { test::feed(check, text, step); });
}

TEST_CASE("The test's CRC is the one of Redis") {
  CHECK(crc64_jones("123456789") == 0xe9c6d914c4b8d9ca);
}

TEST_CASE("A real RDB of Redis 7 is whole, at every split") {
  const std::string rdb = test::fixture("rdb/redis-7.0.15.rdb");
  for (std::size_t split = 0; split <= rdb.size(); ++split) {
    RdbCheck check;
    test::feed_split(check, rdb, split);
    CHECK(check.version() == 10);
    CHECK(check.bytes() == rdb.size());
    CHECK_FALSE(check.checksum_off());
  }
  CHECK(rdb_error(rdb, 1).empty());
  CHECK(rdb_error(rdb, 2).empty());
}

TEST_CASE("A real RDB without a checksum says so") {
  const std::string rdb = test::fixture("rdb/redis-7.0.15-no-checksum.rdb");
  RdbCheck check;
  test::feed(check, rdb, 7);
  CHECK(check.checksum_off());
  CHECK(check.version() == 10);
}

TEST_CASE("An RDB cut anywhere is an error") {
  for (const std::string name : {"rdb/redis-7.0.15.rdb", "rdb/redis-7.0.15-no-checksum.rdb"}) {
    const std::string rdb = test::fixture(name);
    for (std::size_t size = 0; size < rdb.size(); ++size) {
      CHECK_FALSE(rdb_error(std::string_view(rdb).substr(0, size)).empty());
      CHECK_FALSE(rdb_error(std::string_view(rdb).substr(0, size), 1).empty());
    }
  }
}

TEST_CASE("Any flipped bit of an RDB with a checksum is an error") {
  const std::string rdb = test::fixture("rdb/redis-7.0.15.rdb");
  for (std::size_t bit = 0; bit < rdb.size() * 8; ++bit) {
    std::string broken = rdb;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(rdb_error(broken).empty());
  }
}

TEST_CASE("Anything behind an RDB is an error") {
  const std::string rdb = test::fixture("rdb/redis-7.0.15.rdb");
  for (const std::string& extra : {std::string("x"), std::string(8, '\0'), std::string("\xFF"),
                                   std::string("*3\r\n$3\r\nSET\r\n"), rdb.substr(9)}) {
    CHECK_FALSE(rdb_error(rdb + extra).empty());
    CHECK_FALSE(rdb_error(rdb + extra, 1).empty());
  }
}

TEST_CASE("Versions: Valkey's magic, and files from before the checksum") {
  RdbCheck valkey;
  test::feed(valkey, with_sum("VALKEY080\xFF"), 3);
  CHECK(valkey.version() == 80);

  RdbCheck old;
  test::feed(old, "REDIS0004data\xFF", 3);
  CHECK(old.version() == 4);
  CHECK_FALSE(old.checksum_off());
  CHECK(rdb_error("REDIS0004data") == "RDB: at byte 13: it does not end with the end opcode");
  CHECK(rdb_error("REDIS0004") == "RDB: at byte 9: it does not end with the end opcode");
  CHECK(rdb_error(with_sum("REDIS0005\xFF")).empty());
}

TEST_CASE("What is not an RDB is an error at byte 0") {
  for (const std::string other : {"REDIS001x\xFF", "REDIS0000\xFF", "REDIS-001\xFF",
                                  "VALKEY00a\xFF", "hello, this is text", "redis0010\xFF"}) {
    CHECK(rdb_error(with_sum(other)) ==
          "RDB: at byte 0: neither the magic of Redis nor of Valkey with a version");
  }
  CHECK(rdb_error("") == "RDB: at byte 0: cut inside the magic");
  CHECK(rdb_error("REDIS") == "RDB: at byte 5: cut inside the magic");
}

TEST_CASE("The error of a wrong checksum names both and where it is") {
  const std::string content = std::string("REDIS0010") + "some keys\xFF";
  std::string rdb = with_sum(content);
  CHECK(rdb_error(rdb).empty());
  rdb[12] = 'X';
  const std::string error = rdb_error(rdb);
  CHECK(error.starts_with("RDB: at byte 19: its checksum "));
}

TEST_CASE("Mutated RDBs are refused or the same") {
  const std::string rdb = test::fixture("rdb/redis-7.0.15.rdb");
  std::mt19937_64 random(1);
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string broken = test::mutated(rdb, random);
    if (!rdb_error(broken, 1 + random() % 400).empty()) {
      ++refused;
    } else {
      // Of a file whose checksum is switched off, only the header and the end can be checked.
      CHECK((broken == rdb || broken.ends_with(std::string(8, '\0'))));
    }
  }
  CHECK(refused > 15'000);
}

}  // namespace
}  // namespace bba::services::redis
