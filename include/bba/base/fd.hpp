// An owned file descriptor, and the few whole-file operations that several rooms need.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "bba/base/bytes.hpp"
#include "bba/base/error.hpp"

namespace bba {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

// Writes all of `bytes`, going on after short writes and EINTR. Throws Error{kind}.
void write_all(int fd, ByteView bytes, ErrorKind kind, std::string_view what);

// The rest of an open file that is expected to be small. Throws Error{kind} where it cannot be read
// or holds more than `limit` bytes.
std::string read_rest(int fd, std::size_t limit, ErrorKind kind, std::string_view what);
// The whole of such a file.
std::string read_small_file(const std::string& path, std::size_t limit, ErrorKind kind);

}  // namespace bba
