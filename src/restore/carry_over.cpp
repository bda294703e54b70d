#include "carry_over.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <linux/fs.h>
#include <optional>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/text.hpp"

namespace bba::restore {

namespace {

namespace fs = std::filesystem;

constexpr ErrorKind storage = ErrorKind::storage;

struct stat status_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw system_error(storage, path, errno);
  return status;
}

// Not a link to one: what is built may hold links that lead anywhere.
bool is_real_directory(const std::string& path) {
  return fs::is_directory(fs::symlink_status(path));
}

std::string value_of(const std::string& path, const std::string& name) {
  std::string value(XATTR_SIZE_MAX, '\0');
  const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (size < 0) throw system_error(storage, fmt::format("{} of {}", name, path), errno);
  value.resize(static_cast<std::size_t>(size));
  return value;
}

void copy_attributes(const std::string& from, const std::string& to) {
  std::string names(XATTR_LIST_MAX, '\0');
  const ssize_t size = ::llistxattr(from.c_str(), names.data(), names.size());
  if (size < 0) {
    if (errno == ENOTSUP) return;
    throw system_error(storage, "attributes of " + from, errno);
  }
  names.resize(static_cast<std::size_t>(size));
  for (const std::string_view one : split(names, '\0')) {
    if (one.empty()) continue;
    const std::string name(one);
    const std::string value = value_of(from, name);
    if (::lsetxattr(to.c_str(), name.c_str(), value.data(), value.size(), 0) != 0) {
      throw system_error(storage, fmt::format("setting {} of {}", name, to), errno);
    }
  }
}

void copy_owner_and_mode(const struct stat& status, const std::string& to) {
  if (::lchown(to.c_str(), status.st_uid, status.st_gid) != 0) {
    throw system_error(storage, "owner of " + to, errno);
  }
  if (!S_ISLNK(status.st_mode) && ::chmod(to.c_str(), status.st_mode & 07777u) != 0) {
    throw system_error(storage, "mode of " + to, errno);
  }
}

void copy_times(const struct stat& status, const std::string& to) {
  const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
  if (::utimensat(AT_FDCWD, to.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    throw system_error(storage, "times of " + to, errno);
  }
}

void copy_content(const std::string& from, const std::string& to) {
  const Fd in(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in) throw system_error(storage, from, errno);
  const Fd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) throw system_error(storage, to, errno);
  constexpr std::size_t piece = 8 << 20;
  for (;;) {
    const ssize_t count = ::sendfile(out.get(), in.get(), nullptr, piece);
    if (count == 0) return;
    if (count < 0) throw system_error(storage, fmt::format("copying {}", from), errno);
  }
}

// One entry and what lies below it, in place of what is there; false for a socket, which is no
// data.
bool copy_tree(const std::string& from, const std::string& to) {
  const struct stat status = status_of(from);
  if (S_ISSOCK(status.st_mode)) return false;
  const bool merges = S_ISDIR(status.st_mode) && is_real_directory(to);
  if (!merges) fs::remove_all(to);
  if (S_ISDIR(status.st_mode)) {
    if (!merges && ::mkdir(to.c_str(), 0700) != 0) throw system_error(storage, to, errno);
    for (const fs::directory_entry& one : fs::directory_iterator(from)) {
      const std::string name = '/' + one.path().filename().string();
      copy_tree(from + name, to + name);
    }
  } else if (S_ISREG(status.st_mode)) {
    copy_content(from, to);
  } else if (S_ISLNK(status.st_mode)) {
    fs::create_symlink(fs::read_symlink(from), to);
  } else if (::mknod(to.c_str(), status.st_mode, status.st_rdev) != 0) {
    throw system_error(storage, to, errno);
  }
  copy_owner_and_mode(status, to);
  copy_attributes(from, to);
  copy_times(status, to);
  return true;
}

void copy_project(const std::string& from, const std::string& to) {
  const auto opened = [](const std::string& path) {
    return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  };
  const Fd in = opened(from);
  const Fd out = opened(to);
  fsxattr wanted{};
  fsxattr present{};
  if (!in || !out || ::ioctl(in.get(), FS_IOC_FSGETXATTR, &wanted) != 0 ||
      ::ioctl(out.get(), FS_IOC_FSGETXATTR, &present) != 0 ||
      wanted.fsx_projid == present.fsx_projid) {
    return;  // most file systems know no projects
  }
  present.fsx_projid = wanted.fsx_projid;
  present.fsx_xflags |= wanted.fsx_xflags & FS_XFLAG_PROJINHERIT;
  if (::ioctl(out.get(), FS_IOC_FSSETXATTR, &present) != 0) {
    throw system_error(storage, "project of " + to, errno);
  }
}

void look(const std::string& live, const std::string& built, const std::string& below,
          const std::function<bool(const std::string&)>& wanted, CarriedOver& carried) {
  const bool has_place = is_real_directory(built + below);
  for (const fs::directory_entry& one : fs::directory_iterator(live + below)) {
    const std::string path = below + '/' + one.path().filename().string();
    if (!wanted(path)) {
      if (is_real_directory(live + path)) look(live, built, path, wanted, carried);
    } else if (!has_place) {
      carried.without_place.push_back(path);
    } else if (copy_tree(live + path, built + path)) {
      carried.paths.push_back(path);
    }
  }
}

}  // namespace

CarriedOver carry_over(const std::string& live, const std::string& built,
                       const std::function<bool(const std::string&)>& wanted) {
  CarriedOver carried;
  try {
    look(live, built, "", wanted, carried);
  } catch (const fs::filesystem_error& error) {
    throw Error(storage, fmt::format("carrying over what the set does not hold: {}", error.what()));
  }
  return carried;
}

void carry_over_root(const std::string& live, const std::string& built, bool owner_and_mode) {
  copy_attributes(live, built);
  if (owner_and_mode) copy_owner_and_mode(status_of(live), built);
  copy_project(live, built);
}

}  // namespace bba::restore
