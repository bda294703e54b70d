// The checks of an archive of the server's directory, while it is taken and while it is read again.
#include "services/redis/directory_check.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "services/redis/redis.hpp"
#include "unit/pipe/tar_blocks.hpp"

using namespace bba;
using namespace bba::services::redis;
using pipe::TarType;
using pipe::test::file_entry;
using Names = std::vector<std::string>;

namespace {

std::string rdb() {
  return pipe::test::fixture("rdb/redis-7.0.15.rdb");
}

service::PathArchive archive(bool required, bool stale) {
  service::PathArchive one;
  one.path = "/data";
  one.expected = {{"rdb_file", "dump.rdb"}, {"required", required}, {"stale", stale}};
  return one;
}

// Shows it a file as an archive's; 1763899200 is 2025-11-23T12:00:00Z.
void show(tree::FileCheck& check, const std::string& below, const std::string& content) {
  pipe::TarEntry entry{.path = "data/" + below, .size = content.size(), .mtime = 1'763'899'200};
  if (!check.entry(below, entry)) return;
  check.data(Chunk::copy_of(content));
  check.file_end();
}

Json found_by(const tree::FileCheck& check) {
  Json found = Json::object();
  check.add_found(found);
  return found;
}

// What reading an artifact with such a record finds.
Json read_again(const Json& found, const std::string& tar) {
  const auto check = directory_kind().content_check(found);
  pipe::test::feed(check->stage(), tar, 512);
  return check->found();
}

std::string error_of(const Json& found, const std::string& tar) {
  return pipe::test::error_of([&] { read_again(found, tar); });
}

}  // namespace

TEST_CASE("redis: the RDB is checked as it passes, and its date is when it was written") {
  DirectoryFiles check(archive(true, false));
  show(check, "dump.rdb", rdb());
  show(check, "appendonly.aof", "*1");
  show(check, "other", "x");
  check.finish();
  CHECK(found_by(check) == Json{{"aof_files", 1u},
                                {"rdb_file", "dump.rdb"},
                                {"rdb_version", 10},
                                {"rdb_written", "2025-11-23T12:00:00Z"}});
  CHECK(check.warnings().empty());
}

TEST_CASE("redis: only the file of that name directly in the directory is the RDB") {
  DirectoryFiles check(archive(false, true));
  const pipe::TarEntry directory{.path = "data/dump.rdb", .type = TarType::directory};
  CHECK_FALSE(check.entry("dump.rdb", directory));
  show(check, "old/dump.rdb", "no RDB");
  show(check, "dump.rdb.old", "no RDB");
  check.finish();
  CHECK(found_by(check) == Json::object({{"aof_files", 0u}}));
  CHECK(check.warnings().empty());
}

TEST_CASE("redis: the RDB of a save that the server reported must be there") {
  DirectoryFiles check(archive(true, false));
  try {
    check.finish();
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::capture);
    CHECK(std::string(error.what()) == "/data holds no dump.rdb, which the server says it saved");
    CHECK(error.hint().find("tmpfs") != std::string::npos);
  }
}

TEST_CASE("redis: a truncated RDB is an error, with what to do") {
  DirectoryFiles check(archive(true, false));
  CHECK_THROWS_AS(show(check, "dump.rdb", rdb().substr(0, 50)), Error);
  CHECK(check.hint() == "the server's own file is damaged: --class E takes the files as they are");
}

TEST_CASE("redis: a warning says where the RDB may be old, or its content is not proven") {
  DirectoryFiles stale(archive(false, true));
  show(stale, "dump.rdb", rdb());
  CHECK(stale.warnings() ==
        Names{"dump.rdb was saved by the server at 2025-11-23T12:00:00Z: what it got since then is "
              "in this backup only where it keeps an append-only file"});
  DirectoryFiles unproven(archive(true, false));
  show(unproven, "dump.rdb", pipe::test::fixture("rdb/redis-7.0.15-no-checksum.rdb"));
  CHECK(unproven.warnings() ==
        Names{"dump.rdb has no checksum (rdbchecksum no): damage inside of it would not be seen"});
}

TEST_CASE("redis: an artifact is read again by what its record says") {
  const std::string tar =
      file_entry("data/dump.rdb", rdb()) + file_entry("data/x.aof", "*1") + pipe::test::end_blocks;
  const Json found = read_again({{"rdb_file", "dump.rdb"}, {"aof_files", 1u}}, tar);
  CHECK(found.at("rdb_version") == 10);
  CHECK(found.at("aof_files") == 1);
  CHECK(found.at("files") == 2);
  // Earlier versions did not count append-only files.
  CHECK_FALSE(read_again(Json::object({{"rdb_file", "dump.rdb"}}), tar).contains("aof_files"));
  CHECK(error_of(Json::object({{"rdb_file", "other.rdb"}}), tar) == "it holds no other.rdb");
  CHECK(error_of(Json::object({{"rdb_file", "x.aof"}}), tar).find("data/x.aof: RDB: ") == 0);
}

TEST_CASE("redis: an archive without an RDB is a plain one") {
  CHECK(directory_kind().recorded_name(Json::object({{"aof_files", 3u}})) == "tar");
  CHECK(directory_kind().recorded_name(Json::object({{"rdb_file", "dump.rdb"}})) ==
        "rdb-directory");
}
