#include "bba/base/error.hpp"

#include <cerrno>
#include <cstring>

#include "bba/base/text.hpp"

namespace bba {

Error::Error(ErrorKind kind, std::string_view cause, std::string hint)
    : kind_(kind), hint_(std::move(hint)), message_(printable(cause)) {}

Error& Error::in(std::string_view context) {
  message_ = printable(context) + ": " + message_;
  return *this;
}

namespace {

std::string hint_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "free space on that filesystem, or choose another place with --backup-dir";
    case EDQUOT:
      return "the disk quota is used up: free space, or choose another place with --backup-dir";
    case EACCES:
    case EPERM:
      return "run as root, or check who owns the path";
    case EFBIG:
      return "a limit on the size of files is in force: see `ulimit -f`";
    case EROFS:
      return "the filesystem is mounted read-only: choose another place with --backup-dir";
    default:
      return {};
  }
}

}  // namespace

Error system_error(ErrorKind kind, std::string_view what, int error_number) {
  return Error(kind, fmt::format("{}: {}", what, std::strerror(error_number)),
               hint_for(error_number));
}

}  // namespace bba
