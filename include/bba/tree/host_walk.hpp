// A tree of this host, walked as the engine walks it, to check an archive: the engine silently
// loses files (docs/design.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "bba/base/fd.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::tree {

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

pipe::TarType tar_type(mode_t mode);
// For people.
std::string_view type_name(pipe::TarType type);

}  // namespace bba::tree
