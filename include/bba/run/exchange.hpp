// Exchanges a directory that a service keeps its data in for one that was built beside it, in one
// step of the file system: renameat2(2), RENAME_EXCHANGE. Two such steps undo each other, so only
// the device and inode of both directories, noted before, tell what has happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bba/base/json.hpp"

namespace bba::run {

struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
// Of what is at an absolute path of this host, no link followed at its end; nullopt where nothing
// is.
std::optional<FileId> file_id(const std::string& path);

// Two directories of one file system, by absolute paths, each as it was before the exchange.
struct ExchangePair {
  std::string live;   // what the service uses
  std::string built;  // what is to take its place
  FileId live_id;
  FileId built_id;
};
Json to_json(const ExchangePair& pair);
// nullopt where a field is missing.
std::optional<ExchangePair> exchange_pair_from(const Json& json);

enum class PairState { before, exchanged, neither };
PairState state_of(const ExchangePair& pair);

// Throws Error{capture} where the two cannot be exchanged: not directories of one file system, one
// of them a mount point, or in a directory where others than root could put something in its place.
void require_exchangeable(const std::string& live, const std::string& built);
// The same of one directory, for before there is the other.
void require_exchangeable(const std::string& directory);

// Exchanges the two, and syncs the directories that they lie in. Throws Error{capture} where they
// are not what was noted; where it throws, state_of() tells whether it has happened.
void exchange(const ExchangePair& pair);

// Where a directory of this host, or one below it, is mounted now, in any process's namespace but
// at itself: "process 4711 (postgres) at /var/lib/postgresql/data". Read from /proc/*/mountinfo
// (proc(5)); an engine keeps the mounts of a container until its last process has ended.
std::optional<std::string> mounted_anywhere(const std::string& directory);

}  // namespace bba::run
