#include "bba/tree/host_walk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <sys/xattr.h>
#include <unistd.h>

#include "bba/base/text.hpp"

namespace bba::tree {

namespace {

std::string join_path(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
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
  // A DIR closes its descriptor, so it gets one of its own.
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

}  // namespace bba::tree
