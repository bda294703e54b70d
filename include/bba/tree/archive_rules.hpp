// Which entries of a tree belong to one archive, and about how large it will be.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bba/base/stop.hpp"
#include "bba/base/time.hpp"
#include "bba/tree/host_walk.hpp"

namespace bba::tree {

// What belongs to one archive.
struct ArchiveRules {
  std::string path;                   // in the container, as asked of the engine
  std::string host_path;              // the same data on this host
  std::vector<std::string> excludes;  // globs on container paths: left out, with what is below
  std::vector<std::string> nested;    // container paths whose content is not a part of this archive
  bool compare_owners = true;         // false where the engine remaps users
  bool live = false;                  // entries changed since `started` are counted, not refused
  Timestamp started{};

  // `below` is a path relative to `path`: as the container names it, and whether it is left out.
  std::string in_container(const std::string& below) const;
  bool excluded(const std::string& below) const;
  // Of these only directories are part of the archive: the engine shows what is mounted there, this
  // host what lies beneath, and a file that is a mountpoint cannot be restored over.
  bool is_nested_mount(const std::string& below) const;
};

// About how many bytes an archive of `rules.host_path` will hold; nullopt where this host cannot
// say. Throws the error of `stop` once that is due.
std::optional<std::uint64_t> measure(const ArchiveRules& rules, const Stop& stop);
// The same for callers that cannot wait: ends early, not whole, once `go_on` returns false.
struct MeasureResult {
  std::uint64_t bytes = 0;
  bool whole = true;
};
std::optional<MeasureResult> measure(const ArchiveRules& rules, const std::function<bool()>& go_on);

// The walk of what belongs to it. `rules` must outlive it.
HostWalk walk_of(const ArchiveRules& rules);

}  // namespace bba::tree
