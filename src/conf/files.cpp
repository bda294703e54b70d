#include "files.hpp"

#include <cerrno>
#include <sys/stat.h>

#include "bba/base/error.hpp"

namespace bba::conf {

bool exists(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw system_error(ErrorKind::config, path, errno);
}

}  // namespace bba::conf
