// Counts the files of Redis' append-only file in an archived directory: the same way when they are
// captured and when they are verified. Sources: redis/redis src/aof.c, redis.conf.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "bba/pipe/tar.hpp"

namespace bba::services::redis {

class AofCount {
 public:
  // `below`: the entry's path, relative to the archived directory.
  void add(std::string_view below, pipe::TarType type, std::uint64_t size);

  // ArtifactRecord::found.aof_files: files that are not empty and that a server loads its data
  // from. Up to Redis 6 that is one file, x.aof; since 7.0 x.aof.1.base.rdb and x.aof.1.incr.aof
  // in a directory of their own, and only with their x.aof.manifest.
  std::uint64_t files() const;

 private:
  struct Set {
    bool manifest = false;
    std::uint64_t files = 0;
  };

  std::uint64_t single_ = 0;
  std::map<std::string, Set> sets_;  // by the path of the manifest without its ending
};

}  // namespace bba::services::redis
