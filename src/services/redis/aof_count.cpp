#include "aof_count.hpp"

#include <algorithm>
#include <array>

namespace bba::services::redis {

namespace {

// "x.aof" of "x.aof.12.base.rdb"; empty for any other name.
std::string_view set_of(std::string_view path) {
  constexpr std::array endings{".base.rdb", ".base.aof", ".incr.aof"};
  for (const std::string_view ending : endings) {
    if (!path.ends_with(ending)) continue;
    path.remove_suffix(ending.size());
    const std::size_t dot = path.find_last_of('.');
    if (dot == path.npos || dot + 1 == path.size()) return {};
    const std::string_view number = path.substr(dot + 1);
    const bool digits = std::all_of(number.begin(), number.end(),
                                    [](char letter) { return letter >= '0' && letter <= '9'; });
    return digits ? path.substr(0, dot) : std::string_view();
  }
  return {};
}

}  // namespace

void AofCount::add(std::string_view below, pipe::TarType type, std::uint64_t size) {
  if (type != pipe::TarType::file || size == 0) return;
  // Deeper ones are not the server's: somebody's copies.
  const auto depth = std::count(below.begin(), below.end(), '/');
  if (depth > 1) return;
  // What is not yet renamed into place is not read either.
  if (below.substr(below.find('/') + 1).starts_with("temp-")) return;
  constexpr std::string_view manifest = ".manifest";
  if (below.ends_with(manifest)) {
    sets_[std::string(below.substr(0, below.size() - manifest.size()))].manifest = true;
  } else if (const std::string_view set = set_of(below); !set.empty()) {
    ++sets_[std::string(set)].files;
  } else if (depth == 0 && below.ends_with(".aof")) {
    ++single_;
  }
}

std::uint64_t AofCount::files() const {
  std::uint64_t files = single_;
  for (const auto& [path, set] : sets_) {
    if (set.manifest) files += set.files;
  }
  return files;
}

}  // namespace bba::services::redis
