#include "bba/store/lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::store {

namespace {

Error held_by_another(int fd, const std::string& module) {
  // The holder may not have written its pid yet.
  const std::string content = read_rest(fd, 4096, ErrorKind::storage, module + ".lock");
  const std::string_view pid = trimmed(content);
  if (pid.empty()) {
    return Error(ErrorKind::busy, fmt::format("another run holds module {}", module),
                 "wait until it has ended");
  }
  return Error(ErrorKind::busy, fmt::format("another run holds module {} (pid {})", module, pid),
               fmt::format("wait until it has ended, or look at it with: ps -p {}", pid));
}

}  // namespace

ModuleLock::ModuleLock(const std::string& state_directory, const std::string& module) {
  require_module_id(module);
  const OwnedDirectory directory = OwnedDirectory::open_or_create(state_directory);
  const std::string name = module + ".lock";
  const std::string path = directory.path() + '/' + name;
  // The file stays for ever: removing it would let two runs lock two files of the same name.
  fd_ = Fd(::openat(directory.fd(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_) throw system_error(ErrorKind::storage, path, errno);
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw held_by_another(fd_.get(), module);
    throw system_error(ErrorKind::storage, "locking " + path, errno);
  }
  if (::ftruncate(fd_.get(), 0) != 0) throw system_error(ErrorKind::storage, path, errno);
  write_all(fd_.get(), as_bytes(fmt::format("{}\n", ::getpid())), ErrorKind::storage, path);
}

}  // namespace bba::store
