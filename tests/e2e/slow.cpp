#include "e2e/slow.hpp"

#include <filesystem>

namespace e2e {

SlowContainer::SlowContainer(E2eFixture& fixture, std::uint64_t bytes, const Strings& options)
    : volume_(fixture.volume("data")), file_(volume_path(volume_) + "/big.bin") {
  write_file(file_, "");
  std::filesystem::resize_file(file_, bytes);
  Strings all{"--volume", volume_ + ":/data"};
  all.insert(all.end(), options.begin(), options.end());
  container_ = fixture.start("kuma", all, "bba-fixture/files:1");
  life_ = life_of(container_);
}

Process SlowContainer::half_way(const Strings& command) const {
  Process run(command);
  wait_until("the engine reads the large file", 30s,
             [&] { return read_position(file_).value_or(0) > 0; });
  return run;
}

}  // namespace e2e
