#include "put_tar.hpp"

namespace bba::restore {

void put_tar(docker::Engine& engine, const std::string& container, const std::string& parent,
             const std::vector<Chunk>& tar) {
  std::size_t next = 0;
  engine.put_archive(container, parent, [&]() -> std::optional<Chunk> {
    if (next == tar.size()) return std::nullopt;
    return tar[next++];
  });
}

}  // namespace bba::restore
