#include "services/redis/aof_count.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace bba;
using namespace bba::services::redis;
using pipe::TarType;
using Names = std::vector<std::string>;

namespace {

std::uint64_t files_of(const Names& paths) {
  AofCount count;
  for (const std::string& path : paths) count.add(path, TarType::file, 9);
  return count.files();
}

}  // namespace

TEST_CASE("aof count: one file up to Redis 6, parts with their manifest since 7.0") {
  CHECK(files_of({"appendonly.aof"}) == 1);
  CHECK(
      files_of({"appendonlydir/appendonly.aof.1.base.rdb", "appendonlydir/appendonly.aof.manifest",
                "appendonlydir/appendonly.aof.1.incr.aof",
                "appendonlydir/appendonly.aof.2.incr.aof"}) == 3);
  // A base file without an RDB at its start, other names, a mount at the directory itself.
  CHECK(files_of({"log/cache.12.base.aof", "log/cache.manifest"}) == 1);
  CHECK(files_of({"cache.aof.manifest", "cache.aof.1.incr.aof"}) == 1);
}

TEST_CASE("aof count: files that a server would not load are not counted") {
  CHECK(files_of({}) == 0);
  CHECK(files_of({"dump.rdb", "redis.log", "users.acl"}) == 0);
  CHECK(files_of({"appendonlydir/appendonly.aof.manifest"}) == 0);
  CHECK(files_of({"appendonlydir/appendonly.aof.1.base.rdb"}) == 0);
  CHECK(files_of({"appendonlydir/a.aof.1.base.rdb", "appendonlydir/b.aof.manifest"}) == 0);
  CHECK(files_of({"one/a.aof.1.base.rdb", "two/a.aof.manifest"}) == 0);
  CHECK(files_of({"a.aof.x.base.rdb", "a.aof.manifest"}) == 0);
  CHECK(files_of({".base.rdb", ".1.base.rdb", ".manifest.1"}) == 0);
  CHECK(files_of({"old/appendonly.aof"}) == 0);
  CHECK(files_of({"old/dir/a.aof.1.base.rdb", "old/dir/a.aof.manifest"}) == 0);
  CHECK(files_of({"temp-rewriteaof-12.aof"}) == 0);
  CHECK(files_of({"log/temp-a.aof.1.incr.aof", "log/temp-a.aof.manifest"}) == 0);
}

TEST_CASE("aof count: empty files and directories hold nothing") {
  AofCount count;
  count.add("appendonly.aof", TarType::file, 0);
  count.add("other.aof", TarType::directory, 0);
  count.add("link.aof", TarType::symlink, 0);
  CHECK(count.files() == 0);
  count.add("log/a.aof.1.base.rdb", TarType::file, 88);
  count.add("log/a.aof.1.incr.aof", TarType::file, 0);
  count.add("log/a.aof.manifest", TarType::file, 88);
  CHECK(count.files() == 1);
}
