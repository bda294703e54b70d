// A new run that comes while a killed one is being put right.
#include <csignal>
#include <filesystem>

#include "e2e/support.hpp"

using namespace e2e;

TEST_CASE("E, killed half way and asked for again at once: the pause is not the operator's") {
  NEEDS_ENGINE();
  Scene scene;
  const std::string volume = scene.volume("data");
  const std::string file = volume_path(volume) + "/big.bin";
  write_file(file, "");
  std::filesystem::resize_file(file, 256 << 20);
  const std::string kuma =
      scene.start("kuma", {"--volume", volume + ":/data"}, "bba-fixture/files:1");
  const std::string life = life_of(kuma);

  Process killed = scene.begin({"backup", kuma});
  wait_until("the engine reads the large file", 30s,
             [&] { return read_position(file).value_or(0) > 0; });
  killed.signal(SIGKILL);
  // Its guard is at work now, or about to be: either the new run waits for it, or pays itself.
  const Ended again = scene.bba({"backup", kuma});
  INFO(again.err);
  CHECK(killed.wait().exit_code == -SIGKILL);
  REQUIRE(again.exit_code == 0);
  const Json consistency = scene.manifest().at("consistency");
  CHECK(consistency.at("mode") == "pause");
  REQUIRE(consistency.at("paused").size() == 1);
  CHECK(consistency.at("paused")[0].at("name") == kuma);
  CHECK(life_of(kuma) == life);
  wait_until("the guards end", 10s, [&] { return !scene.guard(); });
  CHECK(scene.journals() == Strings{});
}
