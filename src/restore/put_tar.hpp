// Small tars that are put into a container.
#pragma once

#include <string>
#include <vector>

#include "bba/docker/engine.hpp"
#include "bba/pipe/stage.hpp"

namespace bba::restore {

// Keeps what passes in memory.
class TarCollector : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override { chunks.push_back(chunk); }
  void finish() override {}
  std::vector<Chunk> chunks;
};

void put_tar(docker::Engine& engine, const std::string& container, const std::string& parent,
             const std::vector<Chunk>& tar);

}  // namespace bba::restore
