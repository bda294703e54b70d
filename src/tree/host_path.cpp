#include "bba/tree/host_path.hpp"

#include <filesystem>
#include <sys/stat.h>

namespace bba::tree {

SourceKind source_kind(const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return SourceKind::unreachable;
  if (S_ISDIR(status.st_mode)) return SourceKind::directory;
  if (S_ISREG(status.st_mode)) return SourceKind::file;
  return SourceKind::other;
}

std::string resolved(const std::string& path) {
  std::error_code failed;
  const auto whole = std::filesystem::absolute(path, failed);
  if (failed) return path;
  const auto real = std::filesystem::weakly_canonical(whole, failed);
  return failed ? path : real.string();
}

}  // namespace bba::tree
