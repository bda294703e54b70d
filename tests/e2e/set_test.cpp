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

void module_yaml(const E2eFixture& fixture, const std::string& id, const std::string& runtime,
                 const std::string& references = "") {
  fs::create_directories(fixture.path("modules/" + id));
  write_file(fixture.path("modules/" + id + "/module.yaml"),
             fmt::format("spec:\n  runtime: {{{}}}\n  release: {{backup_ref_modules: [{}]}}\n",
                         runtime, references));
}

// A stateful module in a container of its name, with one file of that size.
struct Part {
  Part(E2eFixture& fixture, const std::string& what, std::uint64_t size)
      : volume(fixture.volume(what)) {
    file = volume_path(volume) + "/data.bin";
    write_file(file, std::string(std::min<std::uint64_t>(size, 4096), 'x'));
    fs::resize_file(file, size);
    id = fixture.start(what, {"--volume", volume + ":/data"}, image);
    module_yaml(fixture, id, "statefulness: stateful");
    life = life_of(id);
  }
  std::string volume, file, id, life;
};

// A module that runs once, and whose data is in two others.
std::string put_sidecar(const E2eFixture& fixture, const Part& one, const Part& two) {
  module_yaml(fixture, "init", "statefulness: sidecar-bound", one.id + ", " + two.id);
  return "init";
}

std::map<std::string, Json> manifests(const E2eFixture& fixture) {
  std::map<std::string, Json> all;
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".manifest.json")) {
      all[name] = parse_json(read_file(fixture.backups() + "/" + name)).value();
    }
  }
  return all;
}

}  // namespace

TEST_CASE("a sidecar-bound module's companions are one set, and each manifest names the others") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Part one(fixture, "one", 9'000);
  const Part two(fixture, "two", 20'000);
  const std::string init = put_sidecar(fixture, one, two);
  const Ended ended = fixture.bba({"backup", init});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);

  const auto all = manifests(fixture);
  REQUIRE(all.size() == 2);
  Strings paths;
  for (const auto& [name, manifest] : all) {
    REQUIRE(manifest.at("members").size() == 1);
    const auto other = manifest.at("members")[0].get<std::string>();
    CHECK(other != name);
    REQUIRE(all.count(other) == 1);
    CHECK(all.at(other).at("members")[0] == name);
    CHECK(all.at(other).at("started") == manifest.at("started"));
    paths.push_back(fixture.backups() + "/" +
                    manifest.at("artifacts")[0].at("file").get<std::string>());
  }
  // In the order in which the module names them.
  CHECK(has(paths[0], one.id));
  CHECK(ended.out == paths[0] + "\n" + paths[1] + "\n");
  for (const Part* part : {&one, &two}) {
    CHECK(life_of(part->id) == part->life);
    CHECK(fixture.bba({"verify", part->id}).exit_code == 0);
    CHECK(fixture.bba({"gate", part->id}).exit_code == 0);
  }

  const Ended gate = fixture.bba({"gate", init});
  CHECK(gate.exit_code == 10);
  CHECK(has(gate.err, one.id + ", " + two.id));

  // One of them alone is not the set.
  fs::remove(fixture.backups() + "/" + all.rbegin()->first);
  const Ended half = fixture.bba({"verify", all.begin()->second.at("module").get<std::string>()});
  CHECK(half.exit_code == 7);
  CHECK(has(half.err, "both are one set, all or nothing"));
}

TEST_CASE("a set whose second member fails leaves nothing of the first") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Part one(fixture, "one", 9'000);
  const Part two(fixture, "two", 64 << 20);
  const std::string init = put_sidecar(fixture, one, two);
  const auto check_both = [&] {
    CHECK(life_of(one.id) == one.life);
    CHECK(life_of(two.id) == two.life);
    fixture.check_nothing_left();
    CHECK_FALSE(fs::exists(fixture.path("proofs")));
  };

  SUBCASE("no container") {
    docker({"rename", two.id, two.id + "-gone"});
    const Ended ended = fixture.bba({"backup", init});
    docker({"rename", two.id + "-gone", two.id});
    CHECK(ended.exit_code == 4);
    check_both();
  }
  SUBCASE("a full file system") {
    // It cannot be compressed to the space that is left.
    const Fd random(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
    std::string noise(4 << 20, '\0');
    REQUIRE(::read(random.get(), noise.data(), noise.size()) == std::ssize(noise));
    write_file(two.file, noise);
    fixture.small_backup_directory("2m");
    const Ended ended = fixture.bba({"backup", init});
    INFO(ended.err);
    CHECK(ended.exit_code == 8);
    CHECK(has(ended.err, "backing up " + two.id));
    check_both();
  }
  SUBCASE("a request to stop") {
    Process run = fixture.begin({"backup", init});
    wait_until("the engine reads the second one", 30s,
               [&] { return read_position(two.file).value_or(0) > 0; });
    run.signal(SIGTERM);
    CHECK(run.wait(10s).exit_code == 143);
    check_both();
  }
}

TEST_CASE("two modules given by name are a set each, and the first stays where the second fails") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Part one(fixture, "one", 9'000);
  const Part two(fixture, "two", 20'000);
  const Ended both = fixture.bba({"backup", two.id, one.id});
  INFO(both.err);
  CHECK(both.exit_code == 0);
  const auto all = manifests(fixture);
  REQUIRE(all.size() == 2);
  for (const auto& [name, manifest] : all) CHECK(manifest.at("members").empty());
  CHECK(both.out.find(two.id) < both.out.find(one.id));

  const Ended half = fixture.bba({"backup", one.id, "not-there"});
  CHECK(half.exit_code == 4);
  CHECK(has(half.out, one.id));
  CHECK(std::count(half.out.begin(), half.out.end(), '\n') == 1);
  CHECK(manifests(fixture).size() == 3);
}

TEST_CASE("a stateless module is refused, and the error suggests --class") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Part web(fixture, "web", 9'000);
  module_yaml(fixture, web.id, "statefulness: stateless");
  for (const char* command : {"backup", "plan"}) {
    const Ended refused = fixture.bba({command, web.id});
    CHECK(refused.exit_code == 3);
    CHECK(has(refused.err, "stateless"));
    CHECK(has(refused.err, "--class"));
  }
  fixture.check_nothing_left();
  CHECK(fixture.bba({"backup", web.id, "--class", "E"}).exit_code == 0);
  CHECK(fixture.manifest().at("rule") == "asked for with --class");
}

TEST_CASE("a limit on the size of files is a write error: exit 8, and nothing is left or paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Part one(fixture, "one", 4 << 20);
  Strings command = fixture.command({"backup", one.id});
  command.insert(command.begin(), {"sh", "-c", "ulimit -f 1; exec \"$@\"", "sh"});
  const Ended ended = run(command);
  INFO(ended.err);
  CHECK(ended.exit_code == 8);
  CHECK(has(ended.err, "ulimit -f"));
  CHECK(life_of(one.id) == one.life);
  fixture.check_nothing_left();
}
