#include "bba/store/artifact_file.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::store {

namespace {

constexpr ErrorKind storage = ErrorKind::storage;
constexpr std::uint64_t writeback_step = 8ULL << 20;
constexpr std::string_view partial_prefix = ".bba-";
constexpr std::string_view partial_suffix = ".partial";

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// As dirname(1) says it, as the path may be a relative one: "." where nothing stands before it.
std::string directory_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : without_trailing_slashes(path.substr(0, slash));
}

Fd open_directory(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

void sync_directory(int fd, const std::string& path) {
  if (::fsync(fd) != 0) throw system_error(storage, "syncing " + path, errno);
}

// Makes `path`, and first the parents that are missing, and puts each new name on the disk.
void make_directory(const std::string& path, mode_t mode) {
  const std::string parent = directory_name(path);
  int made = ::mkdir(path.c_str(), mode);
  if (made != 0 && errno == ENOENT && parent != path) {
    make_directory(parent, 0755);
    made = ::mkdir(path.c_str(), mode);
  }
  if (made != 0 && errno == EEXIST) return;
  // The umask of the caller may have taken bits away.
  if (made != 0 || ::fchmodat(AT_FDCWD, path.c_str(), mode, AT_SYMLINK_NOFOLLOW) != 0) {
    throw system_error(storage, "making " + path, errno);
  }
  const Fd directory = open_directory(parent);
  if (!directory) throw system_error(storage, parent, errno);
  sync_directory(directory.get(), parent);
}

// Whoever can write to the directory can replace a backup by something else.
void require_private(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw system_error(storage, path, errno);
  if (status.st_uid != ::geteuid()) {
    throw Error(storage,
                fmt::format("{}: belongs to user id {}, and this program runs as user id {}", path,
                            status.st_uid, ::geteuid()),
                "run as its owner, or choose another directory");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(storage,
                fmt::format("{}: can be written by others than its owner (mode {:04o})", path,
                            status.st_mode & 07777u),
                fmt::format("chmod go-w {}", path));
  }
}

void require_file_name(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find('/') != name.npos) {
    throw Error(ErrorKind::internal, fmt::format("\"{}\" is not a file name", name));
  }
}

bool lacks_tmpfile(int error) {
  // EISDIR and EINVAL come from filesystems and kernels that read the flag as plain O_DIRECTORY.
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

// A new dot-file in the directory, held with flock so that others can tell that its run is alive.
Fd create_partial(int directory, const std::string& path, std::string& name) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
    throw system_error(ErrorKind::internal, "getrandom", errno);
  }
  const std::string chosen = fmt::format("{}{:016x}{}", partial_prefix, random, partial_suffix);
  Fd file(::openat(directory, chosen.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
                   0600));
  if (!file) throw system_error(storage, "creating a file in " + path, errno);
  name = chosen;
  // Waits, as a search for the dot-files of dead runs locks this one for a moment.
  while (::flock(file.get(), LOCK_EX) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    ::unlinkat(directory, chosen.c_str(), 0);
    throw system_error(storage, "locking a file in " + path, error);
  }
  return file;
}

// Both return 0 or the error's number.
int link_unnamed(int fd, int directory, const std::string& name) {
  if (::linkat(fd, "", directory, name.c_str(), AT_EMPTY_PATH) == 0) return 0;
  if (errno == EEXIST) return EEXIST;
  // The first way wants CAP_DAC_READ_SEARCH on most kernels, this one wants /proc.
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  return ::linkat(AT_FDCWD, link.c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0
                                                                                           : errno;
}

int rename_partial(int directory, const std::string& from, const std::string& to) {
  if (::renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A filesystem that cannot rename without replacing (NFS) can link.
  if (::linkat(directory, from.c_str(), directory, to.c_str(), 0) != 0) return errno;
  return ::unlinkat(directory, from.c_str(), 0) == 0 ? 0 : errno;
}

// Of an open() without O_CREAT: a symlink, a socket, a device without a driver.
bool is_not_regular_file(int error) {
  return error == ELOOP || error == ENXIO || error == ENODEV;
}

Error not_regular_file(const std::string& path) {
  return Error(ErrorKind::artifact, path + ": not a regular file");
}

// It is gone, or the disk cannot read it. A lack of permission says nothing about the file.
bool is_broken(int error) {
  return error == ENOENT || error == EIO;
}

}  // namespace

OwnedDirectory OwnedDirectory::open_or_create(const std::string& path) {
  const std::string clean = without_trailing_slashes(path);
  Fd directory = open_directory(clean);
  if (!directory && errno == ENOENT) {
    make_directory(clean, 0700);
    directory = open_directory(clean);
  }
  if (!directory) throw system_error(storage, clean, errno);
  require_private(directory.get(), clean);
  return {clean, std::move(directory)};
}

OwnedDirectory OwnedDirectory::open_existing(const std::string& path) {
  OwnedDirectory directory = open_copy(path);
  require_private(directory.fd(), directory.path());
  return directory;
}

OwnedDirectory OwnedDirectory::open_copy(const std::string& path) {
  const std::string clean = without_trailing_slashes(path);
  Fd directory = open_directory(clean);
  if (directory) return {clean, std::move(directory)};
  Error error = system_error(storage, clean, errno);
  if (errno == ENOENT) error.with_hint("no backup was taken there yet");
  throw error;
}

std::uint64_t OwnedDirectory::free_bytes() const {
  struct statvfs status {};
  if (::fstatvfs(fd(), &status) != 0) throw system_error(storage, path_, errno);
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

bool OwnedDirectory::contains(const std::string& name) const {
  require_file_name(name);
  struct stat status {};
  if (::fstatat(fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  throw system_error(storage, path_ + '/' + name, errno);
}

Fd OwnedDirectory::open_file(const std::string& name) const {
  require_file_name(name);
  const std::string path = path_ + '/' + name;
  // O_NONBLOCK, so that a FIFO of that name is refused below instead of waited for.
  Fd file(::openat(fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file && is_not_regular_file(errno)) throw not_regular_file(path);
  if (!file) throw system_error(is_broken(errno) ? ErrorKind::artifact : storage, path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw system_error(storage, path, errno);
  if (!S_ISREG(status.st_mode)) throw not_regular_file(path);
  return file;
}

void OwnedDirectory::remove(const std::string& name) const {
  if (!is_partial_name(name)) require_file_name(name);
  if (::unlinkat(fd(), name.c_str(), 0) != 0 && errno != ENOENT) {
    throw system_error(storage, "removing " + path_ + '/' + name, errno);
  }
}

void OwnedDirectory::sync() const {
  sync_directory(fd(), path_);
}

ArtifactFile::ArtifactFile(const OwnedDirectory& directory)
    : directory_(&directory),
      fd_(::openat(directory.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
  if (!fd_) {
    if (!lacks_tmpfile(errno)) {
      throw system_error(storage, "creating a file in " + directory.path(), errno);
    }
    fd_ = create_partial(directory.fd(), directory.path(), dot_name_);
    unnamed_ = false;
  }
  // The umask may have taken bits away.
  if (::fchmod(fd_.get(), 0600) != 0) {
    const int error = errno;
    if (!dot_name_.empty()) ::unlinkat(directory.fd(), dot_name_.c_str(), 0);
    throw system_error(storage, "chmod in " + directory.path(), error);
  }
}

ArtifactFile::ArtifactFile(ArtifactFile&& other) noexcept
    : directory_(other.directory_),
      fd_(std::move(other.fd_)),
      bytes_(other.bytes_),
      writeback_(other.writeback_),
      synced_(other.synced_),
      unnamed_(other.unnamed_),
      dot_name_(std::exchange(other.dot_name_, {})) {}

ArtifactFile::~ArtifactFile() {
  if (!dot_name_.empty()) ::unlinkat(directory_->fd(), dot_name_.c_str(), 0);
}

void ArtifactFile::write(ByteView bytes) {
  synced_ = false;
  write_all(fd_.get(), bytes, storage, "writing to " + directory_->path());
  bytes_ += bytes.size();
  if (bytes_ - writeback_ >= writeback_step) {
    // Only a start: what goes wrong is reported by the fsync.
    ::sync_file_range(fd_.get(), static_cast<off_t>(writeback_),
                      static_cast<off_t>(bytes_ - writeback_), SYNC_FILE_RANGE_WRITE);
    writeback_ = bytes_;
  }
}

void ArtifactFile::sync() {
  if (::fsync(fd_.get()) != 0) {
    throw system_error(storage, "syncing a file in " + directory_->path(), errno);
  }
  synced_ = true;
}

void ArtifactFile::publish(const std::string& name) {
  require_file_name(name);
  if (!synced_)
    throw Error(ErrorKind::internal, name + " was to be published before it was synced");
  const int error = dot_name_.empty() ? link_unnamed(fd_.get(), directory_->fd(), name)
                                      : rename_partial(directory_->fd(), dot_name_, name);
  const std::string path = directory_->path() + '/' + name;
  if (error == EEXIST) {
    throw Error(storage, path + ": a file of this name exists already",
                "nothing was replaced; run the command again");
  }
  if (error != 0) throw system_error(storage, "publishing " + path, error);
  dot_name_.clear();
  synced_ = false;  // it gets one name only
}

bool is_partial_name(std::string_view file) {
  return file.size() > partial_prefix.size() + partial_suffix.size() &&
         file.starts_with(partial_prefix) && file.ends_with(partial_suffix);
}

void replace_file(int directory, const std::string& path, std::string_view content, unsigned mode) {
  const std::string parent = directory_name(path);
  const std::string name = base_name(path);
  // The descriptor may be one that cannot be synced (O_PATH).
  const Fd opened(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) throw system_error(storage, parent, errno);
  std::string partial;
  const Fd file = create_partial(opened.get(), parent, partial);
  try {
    write_all(file.get(), as_bytes(content), storage, "writing " + path);
    if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0 || ::fsync(file.get()) != 0 ||
        ::renameat(opened.get(), partial.c_str(), opened.get(), name.c_str()) != 0) {
      throw system_error(storage, "writing " + path, errno);
    }
  } catch (...) {
    ::unlinkat(opened.get(), partial.c_str(), 0);
    throw;
  }
  sync_directory(opened.get(), parent);
}

}  // namespace bba::store
