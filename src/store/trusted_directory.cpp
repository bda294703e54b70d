#include "bba/store/trusted_directory.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/text.hpp"

namespace bba::store {

namespace {

constexpr int most_links = 40;  // as the kernel has it

struct stat status_of(int fd, const std::string& path, ErrorKind kind) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw system_error(kind, path, errno);
  return status;
}

// A POSIX ACL that lets others write shows in the group's bits, so the mode says enough.
bool others_can_write(const struct stat& status) {
  return (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

Error written_by_others(const std::string& path, const struct stat& status, ErrorKind kind) {
  return Error(kind,
               fmt::format("{} can be written by others than its owner (mode {:04o})", path,
                           status.st_mode & 07777u),
               "chmod go-w " + path);
}

class Walk {
 public:
  Walk(const std::string& path, uid_t owner, ErrorKind kind, bool make)
      : owner_(owner), kind_(kind), make_(make) {
    const std::filesystem::path whole = std::filesystem::absolute(path);
    for (const auto& part : whole.relative_path()) ahead_.push_back(part.string());
    from_the_root();
  }

  Fd end() {
    while (!ahead_.empty()) {
      require_passable();
      const std::string name = ahead_.front();
      ahead_.pop_front();
      if (name.empty() || name == ".") continue;
      Fd below = open_below(name);
      if (!below) return {};
      const std::string path = (at_ == "/" ? at_ : at_ + '/') + name;
      const struct stat status = status_of(below.get(), path, kind_);
      if (S_ISLNK(status.st_mode)) {
        require_owner(status, path);
        follow(below, path);
      } else {
        if (!S_ISDIR(status.st_mode)) throw system_error(kind_, path, ENOTDIR);
        here_ = std::move(below);
        at_ = path;
      }
    }
    return std::move(here_);
  }

 private:
  void from_the_root() {
    at_ = "/";
    here_ = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!here_) throw system_error(kind_, at_, errno);
  }

  Fd open_below(const std::string& name) {
    const auto open = [&](int flags) {
      return Fd(::openat(here_.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    };
    Fd below = open(O_PATH);
    if (!below && errno == ENOENT && make_) {
      if (::mkdirat(here_.get(), name.c_str(), 0755) == 0) {
        // The umask of the caller may have taken bits away.
        const Fd made = open(O_RDONLY | O_DIRECTORY);
        if (!made || ::fchmod(made.get(), 0755) != 0) fail("making " + name + " in ");
      } else if (errno != EEXIST) {
        fail("making " + name + " in ");
      }
      below = open(O_PATH);
    }
    if (!below && errno != ENOENT) fail(name + " in ");
    return below;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw system_error(ErrorKind::storage, what + at_, errno);
  }

  void follow(const Fd& link, const std::string& path) {
    std::array<char, PATH_MAX> text{};
    const ssize_t length = ::readlinkat(link.get(), "", text.data(), text.size());
    if (length < 0) throw system_error(kind_, path, errno);
    if (++links_ > most_links) throw system_error(kind_, path, ELOOP);
    const std::filesystem::path target(
        std::string_view(text.data(), static_cast<std::size_t>(length)));
    std::deque<std::string> parts;
    for (const auto& part : target.relative_path()) parts.push_back(part.string());
    ahead_.insert(ahead_.begin(), parts.begin(), parts.end());
    if (target.is_absolute()) from_the_root();
  }

  void require_owner(const struct stat& status, const std::string& path) const {
    if (status.st_uid == 0 || status.st_uid == owner_) return;
    throw Error(kind_,
                fmt::format("{} belongs to user id {}, who can put something else in its place",
                            path, status.st_uid),
                fmt::format("chown {} {}, or choose another directory", owner_, path));
  }

  // Throws where somebody else could replace what is in the directory where the walk is.
  void require_passable() const {
    const struct stat status = status_of(here_.get(), at_, kind_);
    require_owner(status, at_);
    const bool sticky = (status.st_mode & S_ISVTX) != 0 && status.st_uid == 0;
    if (others_can_write(status) && !sticky) throw written_by_others(at_, status, kind_);
  }

  uid_t owner_;
  ErrorKind kind_;
  bool make_;
  std::deque<std::string> ahead_;
  Fd here_;
  std::string at_;
  int links_ = 0;
};

}  // namespace

void require_trusted(int fd, const std::string& path, uid_t owner, ErrorKind kind) {
  const struct stat status = status_of(fd, path, kind);
  if (status.st_uid != owner) {
    throw Error(kind,
                fmt::format("{} belongs to user id {}, not to {}", path, status.st_uid, owner),
                fmt::format("chown {} {}", owner, path));
  }
  if (others_can_write(status)) throw written_by_others(path, status, kind);
}

Fd open_trusted(const std::string& path, uid_t owner, ErrorKind kind) {
  Fd directory = Walk(path, owner, kind, false).end();
  if (directory) require_trusted(directory.get(), path, owner, kind);
  return directory;
}

Fd make_trusted(const std::string& path) {
  const uid_t owner = ::geteuid();
  Fd directory = Walk(path, owner, ErrorKind::storage, true).end();
  if (!directory) throw system_error(ErrorKind::storage, path, ENOENT);
  require_trusted(directory.get(), path, owner, ErrorKind::storage);
  return directory;
}

}  // namespace bba::store
