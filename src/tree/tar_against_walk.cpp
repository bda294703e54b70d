#include "bba/tree/tar_against_walk.hpp"

#include <ctime>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::tree {

namespace {

// Differences in order are normal for a handful of entries, never for this many.
constexpr std::size_t most_out_of_order = 200'000;

constexpr std::string_view hold_still =
    "something outside of the paused containers changes these files: hold it still, or take the "
    "backup with --consistency live";

// A moment that divides what is written before from what is written after the return: kernels date
// files by a clock of some milliseconds, or, from Linux 6.13 on, by a finer one that runs ahead of
// it. So the moment is the fine clock's, and the coarse one has to pass it.
timespec moment_between_ticks() {
  timespec moment{}, tick{};
  ::clock_gettime(CLOCK_REALTIME, &moment);
  // A tick lasts 10 ms at most; a clock that was set back must not hold anything up.
  for (int i = 0; i < 100; ++i) {
    ::clock_gettime(CLOCK_REALTIME_COARSE, &tick);
    if (std::pair(tick.tv_sec, tick.tv_nsec) > std::pair(moment.tv_sec, moment.tv_nsec)) break;
    constexpr timespec pause{0, 500'000};
    ::nanosleep(&pause, nullptr);
  }
  return moment;
}

}  // namespace

ArchiveCheck::ArchiveCheck(ArchiveRules rules, FileCheck* files)
    : rules_(std::move(rules)),
      files_(files),
      walk_(walk_of(rules_)),
      base_(base_name(rules_.path)),
      began_(moment_between_ticks()) {}

std::string ArchiveCheck::shown(const std::string& below) const {
  return rules_.in_container(below);
}

std::optional<HostEntry> ArchiveCheck::next_host() {
  while (std::optional<HostEntry> host = walk_.next()) {
    if (rules_.is_nested_mount(host->path) && !S_ISDIR(host->status.st_mode)) continue;
    if (S_ISSOCK(host->status.st_mode)) {
      ++counts_.sockets;
      continue;
    }
    if (host->user_xattrs) ++counts_.user_xattrs;
    if (host->acl) ++counts_.acls;
    if (S_ISREG(host->status.st_mode) &&
        host->status.st_blocks * 512 < host->status.st_size - 4096) {
      ++counts_.sparse;
    }
    return host;
  }
  return std::nullopt;
}

bool ArchiveCheck::changed_lately(const HostEntry& host) const {
  return rules_.live && host.status.st_ctim.tv_sec >= rules_.started.time_since_epoch().count() - 1;
}

void ArchiveCheck::count_change(const std::string& below) {
  if (counts_.changed++ == 0) counts_.first_changed = shown(below);
}

std::optional<std::string> ArchiveCheck::below_root(const std::string& tar_path) const {
  if (tar_path == base_) return "";
  if (tar_path.starts_with(base_ + "/")) return tar_path.substr(base_.size() + 1);
  return std::nullopt;
}

// A hard link is a name and no content: the entry that has it must be in the archive, too.
void ArchiveCheck::require_target(const pipe::TarEntry& link, const std::string& below) const {
  const auto first = below_root(link.link);
  if (!first || !(rules_.excluded(*first) || rules_.is_nested_mount(*first))) return;
  throw Error(
      ErrorKind::capture,
      fmt::format("{} is a hard link to {}, which is left out", shown(below), shown(*first)),
      "leave out both names or none");
}

bool ArchiveCheck::entry(const pipe::TarEntry& tar) {
  const std::optional<std::string> found = below_root(tar.path);
  if (!found) {
    throw Error(ErrorKind::capture,
                fmt::format("the engine's tar holds {}, which is not below {}", tar.path, base_));
  }
  const std::string& below = *found;
  if (rules_.excluded(below)) return false;
  if (rules_.is_nested_mount(below) && tar.type != pipe::TarType::directory) return false;
  if (below.empty() && tar.type == pipe::TarType::symlink) {
    throw Error(ErrorKind::capture,
                fmt::format("{} is a symlink to {}: its archive would hold the link alone",
                            rules_.path, tar.link),
                "name with --path or in the configuration's paths what the link leads to");
  }
  if (tar.type == pipe::TarType::hard_link) require_target(tar, below);
  changed_before_ = counts_.changed;
  if (tar.type == pipe::TarType::file && tar.size > 0) current_file_ = below;

  counts_.add(tar.type, tar.size);

  pipe::TarEntry mine = tar;
  mine.path = below;
  const auto early = only_host_.find(below);
  if (early != only_host_.end()) {
    compare(early->second, mine);
    only_host_.erase(early);
  } else if (std::optional<HostEntry> host = next_host()) {
    if (host->path == below) {
      compare(*host, mine);
    } else {
      compare_or_wait(*std::move(host));
      only_tar_.emplace(below, mine);
    }
  } else {
    only_tar_.emplace(below, mine);
  }
  if (only_host_.size() + only_tar_.size() > most_out_of_order) {
    throw Error(ErrorKind::capture,
                fmt::format("the engine's tar and this host's listing of {} have little in common",
                            rules_.host_path));
  }

  if (files_ != nullptr && files_->entry(below, tar)) looked_into_ = below;
  return true;
}

template <class Action>
void ArchiveCheck::look_into(const Action& action) {
  try {
    with_context(shown(*looked_into_), action);
  } catch (Error& error) {
    error.with_hint(files_->hint());
    throw;
  }
}

void ArchiveCheck::data(const Chunk& chunk) {
  if (looked_into_) look_into([&] { files_->data(chunk); });
}

// A file that was written while it passed may be half old, half new. Its size and its time to the
// second, all that the tar knows, can be the same.
void ArchiveCheck::require_unchanged(const std::string& below) {
  const std::optional<struct stat> status = walk_.status(below);
  const bool unchanged = status && std::pair(status->st_ctim.tv_sec, status->st_ctim.tv_nsec) <=
                                       std::pair(began_.tv_sec, began_.tv_nsec);
  if (unchanged) return;
  if (rules_.live) {
    if (counts_.changed == changed_before_) count_change(below);
    return;
  }
  throw Error(ErrorKind::capture, shown(below) + ": changed on this host while it was read",
              std::string(hold_still));
}

void ArchiveCheck::entry_end() {
  if (current_file_) require_unchanged(*current_file_);
  current_file_.reset();
  if (!looked_into_) return;
  look_into([&] { files_->file_end(); });
  looked_into_.reset();
}

std::string ArchiveCheck::difference(const HostEntry& host, const pipe::TarEntry& tar) const {
  const struct stat& status = host.status;
  const pipe::TarType type = tar_type(status.st_mode);
  if (tar.type == pipe::TarType::hard_link) {
    // The first name of the file is in the tar as a file; this one must be the same inode.
    const std::string first = below_root(tar.link).value_or(tar.link);
    const auto other = walk_.status(first);
    if (!other || other->st_ino != status.st_ino || other->st_dev != status.st_dev) {
      return fmt::format("a hard link to {} in the archive, not on this host", first);
    }
    return {};
  }
  if (tar.type != type) {
    return fmt::format("a {} in the archive, a {} on this host", type_name(tar.type),
                       type_name(type));
  }
  if (rules_.is_nested_mount(host.path)) return {};
  if (type == pipe::TarType::file && tar.size != static_cast<std::uint64_t>(status.st_size)) {
    return fmt::format("{} bytes in the archive, {} on this host", tar.size, status.st_size);
  }
  if ((tar.mode & 07777) != (status.st_mode & 07777)) {
    return fmt::format("mode {:04o} in the archive, {:04o} on this host", tar.mode,
                       status.st_mode & 07777);
  }
  if (rules_.compare_owners && (tar.uid != status.st_uid || tar.gid != status.st_gid)) {
    return fmt::format("owner {}:{} in the archive, {}:{} on this host", tar.uid, tar.gid,
                       status.st_uid, status.st_gid);
  }
  if (tar.mtime != status.st_mtim.tv_sec) {
    return fmt::format("modified at {} in the archive, at {} on this host", tar.mtime,
                       status.st_mtim.tv_sec);
  }
  if (type == pipe::TarType::symlink && tar.link != host.link) {
    return fmt::format("a link to {} in the archive, to {} on this host", tar.link, host.link);
  }
  if ((type == pipe::TarType::character_device || type == pipe::TarType::block_device) &&
      (tar.dev_major != major(status.st_rdev) || tar.dev_minor != minor(status.st_rdev))) {
    return fmt::format("device {}:{} in the archive, {}:{} on this host", tar.dev_major,
                       tar.dev_minor, major(status.st_rdev), minor(status.st_rdev));
  }
  const auto capability = tar.xattrs.find("security.capability");
  if ((capability == tar.xattrs.end() ? std::string() : capability->second) != host.capability) {
    return "other file capabilities in the archive than on this host";
  }
  return {};
}

void ArchiveCheck::compare(const HostEntry& host, const pipe::TarEntry& tar) {
  const std::string what = difference(host, tar);
  if (what.empty()) return;
  if (changed_lately(host)) {
    count_change(host.path);
    return;
  }
  throw Error(ErrorKind::capture, shown(host.path) + ": " + what,
              rules_.live ? "" : std::string(hold_still));
}

void ArchiveCheck::compare_or_wait(HostEntry host) {
  const auto waiting = only_tar_.find(host.path);
  if (waiting != only_tar_.end()) {
    compare(host, waiting->second);
    only_tar_.erase(waiting);
  } else {
    std::string path = host.path;
    only_host_.emplace(std::move(path), std::move(host));
  }
}

void ArchiveCheck::finish() {
  while (std::optional<HostEntry> host = next_host()) {
    compare_or_wait(*std::move(host));
    if (only_host_.size() > most_out_of_order) break;
  }
  for (const auto& [below, host] : only_host_) {
    if (changed_lately(host)) {
      count_change(below);
      continue;
    }
    throw Error(ErrorKind::capture,
                fmt::format("{} is on this host but not in the engine's tar ({} such)",
                            shown(below), only_host_.size()),
                "the engine leaves out what it cannot read and does not say so: see its log");
  }
  for (const auto& [below, tar] : only_tar_) {
    if (rules_.live && !walk_.status(below)) {
      count_change(below);
      continue;
    }
    throw Error(ErrorKind::capture,
                fmt::format("{} is in the engine's tar but was not found on this host ({} such)",
                            shown(below), only_tar_.size()));
  }
  if (files_ != nullptr) files_->finish();
}

}  // namespace bba::tree
