#include "bba/tree/tar_against_walk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bba/base/text.hpp"

namespace bba::ops {

namespace {

// Differences in order are normal for a handful of entries, never for this many.
constexpr std::size_t most_out_of_order = 200'000;

constexpr std::string_view hold_still =
    "something outside of the paused containers changes these files: hold it still, or take the "
    "backup with --consistency live";

std::string join_path(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.find_last_of('/') + 1));
}

[[noreturn]] void cannot_read(const std::string& path, int error_number) {
  throw system_error(ErrorKind::capture, "listing " + path + " on this host", error_number);
}

}  // namespace

std::string_view type_name(pipe::TarType type) {
  switch (type) {
    case pipe::TarType::file:
      return "file";
    case pipe::TarType::hard_link:
      return "hard link";
    case pipe::TarType::symlink:
      return "symlink";
    case pipe::TarType::character_device:
      return "character device";
    case pipe::TarType::block_device:
      return "block device";
    case pipe::TarType::directory:
      return "directory";
    case pipe::TarType::fifo:
      return "FIFO";
  }
  return "entry";
}

pipe::TarType tar_type(mode_t mode) {
  if (S_ISDIR(mode)) return pipe::TarType::directory;
  if (S_ISLNK(mode)) return pipe::TarType::symlink;
  if (S_ISFIFO(mode)) return pipe::TarType::fifo;
  if (S_ISCHR(mode)) return pipe::TarType::character_device;
  if (S_ISBLK(mode)) return pipe::TarType::block_device;
  return pipe::TarType::file;
}

void ArchiveCounts::add(pipe::TarType type, std::uint64_t size) {
  switch (type) {
    case pipe::TarType::file:
      ++files;
      break;
    case pipe::TarType::directory:
      ++directories;
      break;
    case pipe::TarType::symlink:
      ++symlinks;
      break;
    case pipe::TarType::hard_link:
      ++hard_links;
      break;
    default:
      ++others;
  }
  content_bytes += size;
}

Json found_json(const ArchiveCounts& counts) {
  Json found = {
      {"entries",
       counts.files + counts.directories + counts.symlinks + counts.hard_links + counts.others},
      {"files", counts.files},
      {"directories", counts.directories},
      {"symlinks", counts.symlinks},
      {"hard_links", counts.hard_links},
      {"others", counts.others},
      {"content_bytes", counts.content_bytes},
      {"not_carried",
       {{"sockets", counts.sockets}, {"user_xattrs", counts.user_xattrs}, {"acls", counts.acls}}},
      {"sparse_expanded", counts.sparse}};
  if (counts.changed > 0) found["changed_while_read"] = counts.changed;
  return found;
}

std::vector<std::string> archive_warnings(const std::string& path, const ArchiveCounts& counts) {
  std::vector<std::string> warnings;
  if (counts.user_xattrs > 0) {
    warnings.push_back(
        fmt::format("{}: user.* extended attributes of {} entries are not in the tar", path,
                    counts.user_xattrs));
  }
  if (counts.acls > 0) {
    warnings.push_back(
        fmt::format("{}: POSIX ACLs of {} entries are not in the tar", path, counts.acls));
  }
  if (counts.changed > 0) {
    warnings.push_back(
        fmt::format("{}: {} entries changed while they were read, the first {}: they may be torn",
                    path, counts.changed, counts.first_changed));
  }
  return warnings;
}

HostWalk::HostWalk(const std::string& root, Predicate skip, Predicate shallow)
    : root_(root), skip_(std::move(skip)), shallow_(std::move(shallow)) {
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
}

HostEntry HostWalk::look(int directory, const std::string& name, const std::string& path) const {
  HostEntry entry;
  entry.path = path;
  if (::fstatat(directory, name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) != 0) {
    cannot_read(join_path(root_, path), errno);
  }
  if (S_ISLNK(entry.status.st_mode)) {
    entry.link.resize(static_cast<std::size_t>(std::max<off_t>(entry.status.st_size, 255)) + 1);
    const ssize_t length =
        ::readlinkat(directory, name.c_str(), entry.link.data(), entry.link.size());
    if (length < 0) cannot_read(join_path(root_, path), errno);
    entry.link.resize(static_cast<std::size_t>(length));
  }
  // llistxattr takes no directory descriptor; this path names the same file without following
  // links.
  const std::string by_descriptor =
      directory == AT_FDCWD ? name : fmt::format("/proc/self/fd/{}/{}", directory, name);
  char names[64 * 1024];  // XATTR_LIST_MAX
  const ssize_t length = ::llistxattr(by_descriptor.c_str(), names, sizeof names);
  for (ssize_t i = 0; i < length; i += static_cast<ssize_t>(std::strlen(names + i)) + 1) {
    const std::string_view xattr = names + i;
    if (xattr.starts_with("user.")) entry.user_xattrs = true;
    if (xattr.starts_with("system.posix_acl_")) entry.acl = true;
    if (xattr == "security.capability") {
      char value[256];
      const ssize_t size =
          ::lgetxattr(by_descriptor.c_str(), "security.capability", value, sizeof value);
      if (size > 0) entry.capability.assign(value, static_cast<std::size_t>(size));
    }
  }
  return entry;
}

void HostWalk::enter(Fd directory, const std::string& path) {
  // A DIR owns its descriptor, so it gets one of its own and goes away again.
  const int copy = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) cannot_read(join_path(root_, path), errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
  if (!stream) {
    ::close(copy);
    cannot_read(join_path(root_, path), errno);
  }
  Level level{std::move(directory), path, {}, {}};
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      if (errno != 0) cannot_read(join_path(root_, path), errno);
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (level.names.size() > std::numeric_limits<std::uint32_t>::max()) {
      cannot_read(join_path(root_, path), EOVERFLOW);
    }
    level.begins.push_back(static_cast<std::uint32_t>(level.names.size()));
    level.names.append(name).push_back('\0');
  }
  const char* const names = level.names.data();
  std::sort(level.begins.begin(), level.begins.end(), [names](std::uint32_t a, std::uint32_t b) {
    return std::string_view(names + a) > std::string_view(names + b);
  });
  levels_.push_back(std::move(level));
}

std::optional<HostEntry> HostWalk::next() {
  if (!started_) {
    started_ = true;
    HostEntry entry = look(AT_FDCWD, root_, "");
    if (S_ISDIR(entry.status.st_mode)) {
      Fd directory(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!directory) cannot_read(root_, errno);
      enter(std::move(directory), "");
    }
    return entry;
  }
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.begins.empty()) {
      levels_.pop_back();
      continue;
    }
    const std::string name = level.names.data() + level.begins.back();
    level.begins.pop_back();
    const std::string path = join_path(level.path, name);
    if (skip_(path)) continue;
    HostEntry entry = look(level.directory.get(), name, path);
    if (S_ISDIR(entry.status.st_mode) && !shallow_(path)) {
      Fd directory(::openat(level.directory.get(), name.c_str(),
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!directory) cannot_read(join_path(root_, path), errno);
      enter(std::move(directory), path);
    }
    return entry;
  }
  return std::nullopt;
}

std::optional<struct stat> HostWalk::status(const std::string& path) const {
  struct stat status {};
  const std::string full = path.empty() ? root_ : root_ + "/" + path;
  if (::lstat(full.c_str(), &status) != 0) return std::nullopt;
  return status;
}

std::string ArchiveRules::in_container(const std::string& below) const {
  return below.empty() ? path : (path == "/" ? "" : path) + "/" + below;
}

bool ArchiveRules::excluded(const std::string& below) const {
  if (below.empty()) return false;
  const std::string full = in_container(below);
  for (const std::string& pattern : excludes) {
    if (glob_match(pattern, full) || glob_match(pattern + "/*", full)) return true;
  }
  for (const std::string& inner : nested) {
    if (full.size() > inner.size() && full.starts_with(inner) && full[inner.size()] == '/') {
      return true;
    }
  }
  return false;
}

bool ArchiveRules::is_nested_mount(const std::string& below) const {
  return std::find(nested.begin(), nested.end(), in_container(below)) != nested.end();
}

namespace {

HostWalk walk_of(const ArchiveRules& rules) {
  return HostWalk(
      rules.host_path, [&rules](const std::string& below) { return rules.excluded(below); },
      [&rules](const std::string& below) { return rules.is_nested_mount(below); });
}

}  // namespace

std::optional<std::uint64_t> measure(const ArchiveRules& rules, const Stop& stop) {
  const auto measured = measure(rules, [&] { return !stop.is_due(); });
  stop.throw_if_requested();
  return measured ? std::optional(measured->bytes) : std::nullopt;
}

std::optional<Measured> measure(const ArchiveRules& rules, const std::function<bool()>& go_on) {
  try {
    HostWalk walk = walk_of(rules);
    Measured measured;
    while (const std::optional<HostEntry> entry = walk.next()) {
      constexpr std::uint64_t header = 512;
      measured.bytes += header;
      if (S_ISREG(entry->status.st_mode))
        measured.bytes += static_cast<std::uint64_t>(entry->status.st_size);
      if (!go_on()) {
        measured.whole = false;
        break;
      }
    }
    return measured;
  } catch (const Error&) {
    return std::nullopt;  // files come and go under a running service; this is only an estimate
  }
}

namespace {

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

ArchiveCheck::ArchiveCheck(ArchiveRules rules)
    : rules_(std::move(rules)),
      walk_(walk_of(rules_)),
      base_(base_name(rules_.path)),
      began_(moment_between_ticks()) {}

ArchiveCheck::~ArchiveCheck() = default;

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
  if (!rules_.rdb_file.empty()) aof_.add(below, tar.type, tar.size);

  pipe::TarEntry mine = tar;
  mine.path = below;
  const auto early = only_host_.find(below);
  if (early != only_host_.end()) {
    meet(early->second, mine);
    only_host_.erase(early);
  } else if (std::optional<HostEntry> host = next_host()) {
    if (host->path == below) {
      meet(*host, mine);
    } else {
      const auto waiting = only_tar_.find(host->path);
      if (waiting != only_tar_.end()) {
        meet(*host, waiting->second);
        only_tar_.erase(waiting);
      } else {
        only_host_.emplace(host->path, std::move(*host));
      }
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

  if (!rules_.rdb_file.empty() && below == rules_.rdb_file && tar.type == pipe::TarType::file) {
    rdb_ = std::make_unique<pipe::RdbCheck>();
    rdb_written_ = tar.mtime;
  }
  return true;
}

template <class Action>
void ArchiveCheck::feed_rdb(const Action& action) {
  try {
    with_context(shown(rules_.rdb_file), action);
  } catch (Error& error) {
    error.with_hint("it is damaged where it is: --class E takes the files as they are");
    throw;
  }
}

void ArchiveCheck::data(const Chunk& chunk) {
  if (rdb_) feed_rdb([&] { rdb_->write(chunk); });
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
  if (!rdb_) return;
  feed_rdb([&] { rdb_->finish(); });
  rdb_version_ = rdb_->version();
  rdb_checksum_off_ = rdb_->checksum_off();
  rdb_seen_ = true;
  rdb_.reset();
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

void ArchiveCheck::meet(const HostEntry& host, const pipe::TarEntry& tar) {
  const std::string what = difference(host, tar);
  if (what.empty()) return;
  if (changed_lately(host)) {
    count_change(host.path);
    return;
  }
  throw Error(ErrorKind::capture, shown(host.path) + ": " + what,
              rules_.live ? "" : std::string(hold_still));
}

void ArchiveCheck::finish() {
  while (std::optional<HostEntry> host = next_host()) {
    const auto waiting = only_tar_.find(host->path);
    if (waiting != only_tar_.end()) {
      meet(*host, waiting->second);
      only_tar_.erase(waiting);
    } else {
      only_host_.emplace(host->path, std::move(*host));
    }
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
  if (rules_.rdb_required && !rdb_seen_) {
    throw Error(
        ErrorKind::capture,
        fmt::format("{} holds no {}, which the server says it saved", rules_.path, rules_.rdb_file),
        "the engine does not read a tmpfs: where it is one, the data is gone with the "
        "container anyway");
  }
}

}  // namespace bba::ops
