// The independent listing: what this host itself sees of the data, compared with the tar that the
// engine sent. The engine loses files without a word (docs/design.md), so this is
// what makes "done" true.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "bba/base/fd.hpp"
#include "bba/base/json.hpp"
#include "bba/base/stop.hpp"
#include "bba/base/time.hpp"
#include "services/redis/aof_count.hpp"
#include "bba/pipe/check.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

struct HostEntry {
  std::string path;  // below the root; "" is the root itself
  struct stat status {};
  std::string link;        // target of a symlink
  std::string capability;  // security.capability, raw
  bool user_xattrs = false;
  bool acl = false;
};

// Walks a tree of this host depth first, names sorted by byte, as the engine does: so the two
// listings run side by side, and memory holds no more than the names of the directories on the way
// down to the current one.
class HostWalk {
 public:
  // `skip` is asked for each path below the root; a directory that is skipped is not entered. A
  // directory for which `shallow` holds is listed but not entered.
  using Predicate = std::function<bool(const std::string&)>;
  HostWalk(const std::string& root, Predicate skip, Predicate shallow);
  // The next entry; nullopt at the end. Throws Error{capture} where something cannot be read.
  std::optional<HostEntry> next();
  // What a path is, without following links; nullopt where it is not there.
  std::optional<struct stat> status(const std::string& path) const;

 private:
  struct Level {
    Fd directory;
    std::string path;
    std::string names;  // all in one, each with its final NUL: a directory may have a million
    std::vector<std::uint32_t> begins;  // in `names`; the last is next
  };
  HostEntry look(int directory, const std::string& name, const std::string& path) const;
  void enter(Fd directory, const std::string& path);

  std::string root_;
  Predicate skip_, shallow_;
  std::vector<Level> levels_;
  bool started_ = false;
};

// What a set's archive holds, and what the engine's tar could not carry of it.
struct ArchiveCounts {
  std::uint64_t files = 0, directories = 0, symlinks = 0, hard_links = 0, others = 0;
  std::uint64_t content_bytes = 0;
  std::uint64_t sockets = 0;      // left out: a socket is no data
  std::uint64_t user_xattrs = 0;  // entries whose user.* xattrs are lost
  std::uint64_t acls = 0;         // entries whose POSIX ACLs are lost
  std::uint64_t sparse = 0;       // files that come expanded
  std::uint64_t changed = 0;      // live only: entries that changed while they were read
  std::string first_changed;

  void add(pipe::TarType type, std::uint64_t size);
};
Json found_json(const ArchiveCounts& counts);  // ArtifactRecord::found
std::vector<std::string> archive_warnings(const std::string& path, const ArchiveCounts& counts);

pipe::TarType tar_type(mode_t mode);
// For people.
std::string_view type_name(pipe::TarType type);

// What belongs to one archive.
struct ArchiveRules {
  std::string path;                   // in the container, as asked of the engine
  std::string host_path;              // the same data on this host
  std::vector<std::string> excludes;  // globs on container paths: left out, with what is below
  std::vector<std::string> nested;    // container paths whose content is no part of this archive
  std::string rdb_file;               // below `path`; checked as it passes
  bool rdb_required = false;          // its lack is an error
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
// say. Throws what `stop` does once the end is requested.
std::optional<std::uint64_t> measure(const ArchiveRules& rules, const Stop& stop);
// The same for who cannot wait: ends early, not whole, when `go_on` says no.
struct Measured {
  std::uint64_t bytes = 0;
  bool whole = true;
};
std::optional<Measured> measure(const ArchiveRules& rules, const std::function<bool()>& go_on);

// Checks the passing tar against the host's listing. Throws Error{capture} that names the first
// entry that is missing, unexpected or different.
class ArchiveCheck : public pipe::TarVisitor {
 public:
  explicit ArchiveCheck(ArchiveRules rules);
  ~ArchiveCheck() override;
  bool entry(const pipe::TarEntry& entry) override;
  void data(const Chunk& chunk) override;
  void entry_end() override;
  // After the tar's own end: nothing may be left on the host that the tar does not have.
  void finish();

  const ArchiveCounts& counts() const noexcept { return counts_; }
  bool rdb_seen() const noexcept { return rdb_seen_; }
  int rdb_version() const noexcept { return rdb_version_; }
  std::int64_t rdb_written() const noexcept { return rdb_written_; }  // seconds since 1970
  bool rdb_checksum_off() const noexcept { return rdb_checksum_off_; }
  std::uint64_t aof_files() const { return aof_.files(); }

 private:
  void meet(const HostEntry& host, const pipe::TarEntry& tar);
  std::optional<HostEntry> next_host();
  std::string difference(const HostEntry& host, const pipe::TarEntry& tar) const;
  std::string shown(const std::string& below) const;
  std::optional<std::string> below_root(const std::string& tar_path) const;
  void require_target(const pipe::TarEntry& link, const std::string& below) const;
  bool changed_lately(const HostEntry& host) const;
  void count_change(const std::string& below);
  void require_unchanged(const std::string& below);
  template <class Action>
  void feed_rdb(const Action& action);

  ArchiveRules rules_;
  HostWalk walk_;
  std::string base_;
  ArchiveCounts counts_;
  AofCount aof_;
  timespec began_{};                         // what is dated later was written since
  std::optional<std::string> current_file_;  // whose content is passing
  std::uint64_t changed_before_ = 0;         // counts_.changed when it began
  std::map<std::string, HostEntry> only_host_;
  std::map<std::string, pipe::TarEntry> only_tar_;
  std::unique_ptr<pipe::RdbCheck> rdb_;
  bool rdb_seen_ = false;
  int rdb_version_ = 0;
  std::int64_t rdb_written_ = 0;
  bool rdb_checksum_off_ = false;
};

}  // namespace bba::ops
