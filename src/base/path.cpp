#include "bba/base/path.hpp"

#include "bba/base/text.hpp"

namespace bba {

std::optional<std::string> normal_path(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::string normal;
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return std::nullopt;
    if (part.empty() || part == ".") continue;
    normal += '/';
    normal += part;
  }
  return normal.empty() ? "/" : normal;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == path.npos ? "/" : path.substr(0, slash);
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.find_last_of('/') + 1));
}

bool lies_within(std::string_view path, std::string_view parent) {
  if (parent == "/") return path.starts_with('/');
  return path.starts_with(parent) && (path.size() == parent.size() || path[parent.size()] == '/');
}

}  // namespace bba
