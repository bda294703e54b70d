// What an archive holds, and what its tar could not carry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::tree {

// What a set's archive holds, and what the engine's tar could not carry of it.
struct ArchiveCounts {
  std::uint64_t files = 0, directories = 0, symlinks = 0, hard_links = 0, others = 0;
  std::uint64_t content_bytes = 0;
  std::uint64_t sockets = 0;      // left out: a socket is not data
  std::uint64_t user_xattrs = 0;  // entries whose user.* xattrs are lost
  std::uint64_t acls = 0;         // entries whose POSIX ACLs are lost
  std::uint64_t sparse = 0;       // files that come expanded
  std::uint64_t changed = 0;      // live only: entries that changed while they were read
  std::string first_changed;

  void add(pipe::TarType type, std::uint64_t size);
};
Json found_json(const ArchiveCounts& counts);  // ArtifactRecord::found
std::vector<std::string> archive_warnings(const std::string& path, const ArchiveCounts& counts);

}  // namespace bba::tree
