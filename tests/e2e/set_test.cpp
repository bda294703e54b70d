// Several modules by one command: a sidecar's companions as one set, all of it or nothing, and
// modules that were only named together.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include "e2e/support.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";

void module_yaml(const E2eFixture& scene, const std::string& id, const std::string& runtime,
                 const std::string& references = "") {
  fs::create_directories(scene.path("modules/" + id));
  write_file(scene.path("modules/" + id + "/module.yaml"),
             fmt::format("spec:\n  runtime: {{{}}}\n  release: {{backup_ref_modules: [{}]}}\n",
                         runtime, references));
}

// A stateful module in a container of its name, with one file of that size.
struct Part {
  Part(E2eFixture& scene, const std::string& what, std::uint64_t size)
      : volume(scene.volume(what)) {
    file = volume_path(volume) + "/data.bin";
    write_file(file, std::string(std::min<std::uint64_t>(size, 4096), 'x'));
    fs::resize_file(file, size);
    id = scene.start(what, {"--volume", volume + ":/data"}, image);
    module_yaml(scene, id, "statefulness: stateful");
    life = life_of(id);
  }
  std::string volume, file, id, life;
};

// A module that runs once, and whose data is in two others.
std::string put_sidecar(const E2eFixture& scene, const Part& one, const Part& two) {
  module_yaml(scene, "init", "statefulness: sidecar-bound", one.id + ", " + two.id);
  return "init";
}

std::map<std::string, Json> manifests(const E2eFixture& scene) {
  std::map<std::string, Json> all;
  for (const std::string& name : names_in(scene.backups())) {
    if (name.ends_with(".manifest.json")) {
      all[name] = parse_json(read_file(scene.backups() + "/" + name)).value();
    }
  }
  return all;
}

}  // namespace

TEST_CASE(
    "a sidecar-bound module: its companions are one set, and each manifest names the others") {
  NEEDS_ENGINE();
  E2eFixture scene;
  const Part one(scene, "one", 9'000);
  const Part two(scene, "two", 20'000);
  const std::string init = put_sidecar(scene, one, two);
  const Ended ended = scene.bba({"backup", init});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);

  const auto all = manifests(scene);
  REQUIRE(all.size() == 2);
  Strings paths;
  for (const auto& [name, manifest] : all) {
    REQUIRE(manifest.at("members").size() == 1);
    const auto other = manifest.at("members")[0].get<std::string>();
    CHECK(other != name);
    REQUIRE(all.count(other) == 1);
    CHECK(all.at(other).at("members")[0] == name);
    CHECK(all.at(other).at("started") == manifest.at("started"));
    paths.push_back(scene.backups() + "/" +
                    manifest.at("artifacts")[0].at("file").get<std::string>());
  }
  // In the order in which the module names them.
  CHECK(has(paths[0], one.id));
  CHECK(ended.out == paths[0] + "\n" + paths[1] + "\n");
  for (const Part* part : {&one, &two}) {
    CHECK(life_of(part->id) == part->life);
    CHECK(scene.bba({"verify", part->id}).exit_code == 0);
    CHECK(scene.bba({"gate", part->id}).exit_code == 0);
  }

  const Ended gate = scene.bba({"gate", init});
  CHECK(gate.exit_code == 10);
  CHECK(has(gate.err, one.id + ", " + two.id));

  // One of them alone is not the set.
  fs::remove(scene.backups() + "/" + all.rbegin()->first);
  const Ended half = scene.bba({"verify", all.begin()->second.at("module").get<std::string>()});
  CHECK(half.exit_code == 7);
  CHECK(has(half.err, "both are one set, all or nothing"));
}

TEST_CASE("a set whose second member fails leaves nothing of the first") {
  NEEDS_ENGINE();
  E2eFixture scene;
  const Part one(scene, "one", 9'000);
  const Part two(scene, "two", 64 << 20);
  const std::string init = put_sidecar(scene, one, two);
  const auto check_both = [&] {
    CHECK(life_of(one.id) == one.life);
    CHECK(life_of(two.id) == two.life);
    scene.check_nothing_left();
    CHECK_FALSE(fs::exists(scene.path("proofs")));
  };

  SUBCASE("no container") {
    docker({"rename", two.id, two.id + "-gone"});
    const Ended ended = scene.bba({"backup", init});
    docker({"rename", two.id + "-gone", two.id});
    CHECK(ended.exit_code == 4);
    check_both();
  }
  SUBCASE("a full file system") {
    // Nothing compresses this one to what is left.
    const Fd random(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
    std::string noise(4 << 20, '\0');
    REQUIRE(::read(random.get(), noise.data(), noise.size()) == std::ssize(noise));
    write_file(two.file, noise);
    scene.small_backup_directory("2m");
    const Ended ended = scene.bba({"backup", init});
    INFO(ended.err);
    CHECK(ended.exit_code == 8);
    CHECK(has(ended.err, "backing up " + two.id));
    check_both();
  }
  SUBCASE("a request to stop") {
    Process run = scene.begin({"backup", init});
    wait_until("the engine reads the second one", 30s,
               [&] { return read_position(two.file).value_or(0) > 0; });
    run.signal(SIGTERM);
    CHECK(run.wait(10s).exit_code == 143);
    check_both();
  }
}

TEST_CASE("two modules by name: a set each, and what was done stays where the second fails") {
  NEEDS_ENGINE();
  E2eFixture scene;
  const Part one(scene, "one", 9'000);
  const Part two(scene, "two", 20'000);
  const Ended both = scene.bba({"backup", two.id, one.id});
  INFO(both.err);
  CHECK(both.exit_code == 0);
  const auto all = manifests(scene);
  REQUIRE(all.size() == 2);
  for (const auto& [name, manifest] : all) CHECK(manifest.at("members").empty());
  CHECK(both.out.find(two.id) < both.out.find(one.id));

  const Ended half = scene.bba({"backup", one.id, "not-there"});
  CHECK(half.exit_code == 4);
  CHECK(has(half.out, one.id));
  CHECK(std::count(half.out.begin(), half.out.end(), '\n') == 1);
  CHECK(manifests(scene).size() == 3);
}

TEST_CASE("stateless: refused with the way out, which --class is") {
  NEEDS_ENGINE();
  E2eFixture scene;
  const Part web(scene, "web", 9'000);
  module_yaml(scene, web.id, "statefulness: stateless");
  for (const char* command : {"backup", "plan"}) {
    const Ended refused = scene.bba({command, web.id});
    CHECK(refused.exit_code == 3);
    CHECK(has(refused.err, "stateless"));
    CHECK(has(refused.err, "--class"));
  }
  scene.check_nothing_left();
  CHECK(scene.bba({"backup", web.id, "--class", "E"}).exit_code == 0);
  CHECK(scene.manifest().at("rule") == "asked for with --class");
}

TEST_CASE("a limit on the size of files is a write error: exit 8, and nothing is left or paused") {
  NEEDS_ENGINE();
  E2eFixture scene;
  const Part one(scene, "one", 4 << 20);
  Strings command = scene.command({"backup", one.id});
  command.insert(command.begin(), {"sh", "-c", "ulimit -f 1; exec \"$@\"", "sh"});
  const Ended ended = run(command);
  INFO(ended.err);
  CHECK(ended.exit_code == 8);
  CHECK(has(ended.err, "ulimit -f"));
  CHECK(life_of(one.id) == one.life);
  scene.check_nothing_left();
}
