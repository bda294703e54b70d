#include "bba/base/fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "bba/base/text.hpp"

namespace bba {

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

void write_all(int fd, ByteView bytes, ErrorKind kind, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw system_error(kind, what, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::string read_rest(int fd, std::size_t limit, ErrorKind kind, std::string_view what) {
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(kind, what, errno);
    }
    if (count == 0) return content;
    content.append(buffer, static_cast<std::size_t>(count));
    if (content.size() > limit) {
      throw Error(kind, fmt::format("{}: larger than {}", what, format_bytes(limit)));
    }
  }
}

std::string read_small_file(const std::string& path, std::size_t limit, ErrorKind kind) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) throw system_error(kind, path, errno);
  return read_rest(file.get(), limit, kind, path);
}

}  // namespace bba
