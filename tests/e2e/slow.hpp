// A container whose backup takes a while, so that something can happen half way.
#pragma once

#include "e2e/support.hpp"

namespace e2e {

class SlowContainer {
 public:
  // With a volume at /data that holds one sparse file of `bytes`.
  explicit SlowContainer(E2eFixture& fixture, std::uint64_t bytes = 512 << 20,
                         const Strings& options = {});

  const std::string& container() const { return container_; }
  const std::string& volume() const { return volume_; }
  // The large file, on this host.
  const std::string& file() const { return file_; }
  // life_of() right after the start.
  const std::string& life() const { return life_; }
  // Starts that command, and returns once the engine reads the large file.
  Process half_way(const Strings& command) const;

 private:
  std::string volume_, file_, container_, life_;
};

}  // namespace e2e
