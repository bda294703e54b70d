// Drills: sets that restore to what they say, sets that do not, and scratch containers that are
// gone whoever dies.
#include <csignal>
#include <filesystem>

#include "e2e/relay.hpp"
#include "e2e/support.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/files:1";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

// What a drill of this module has made and not removed.
Strings scratch_of(const std::string& module) {
  Strings left;
  const std::string containers =
      docker({"ps", "--all", "--filter", "label=bba.scratch=" + module, "--format", "{{.Names}}"});
  const std::string volumes = docker(
      {"volume", "ls", "--filter", "label=bba.scratch=" + module, "--format", "volume {{.Name}}"});
  for (const std::string& text : {containers, volumes}) {
    for (const std::string_view line : split(text, '\n')) {
      if (!line.empty()) left.emplace_back(line);
    }
  }
  return left;
}

std::string receipt_of(const Scene& scene) {
  for (const std::string& name : names_in(scene.backups())) {
    if (name.ends_with(".drill.json")) return scene.backups() + "/" + name;
  }
  return {};
}

std::string manifest_of(const Scene& scene) {
  for (const std::string& name : names_in(scene.backups())) {
    if (name.ends_with(".manifest.json")) return scene.backups() + "/" + name;
  }
  throw std::runtime_error("no manifest");
}

void check_ended(const Ended& ended, int exit_code) {
  INFO(ended.err);
  REQUIRE(ended.exit_code == exit_code);
}

// A container with two data mounts, backed up.
struct Files {
  explicit Files(Scene& scene) {
    const std::string data = scene.volume("data");
    const std::string bind = scene.path("import");
    std::filesystem::create_directory(bind);
    write_file(volume_path(data) + "/secret", "the truth of a file\n");
    std::filesystem::permissions(volume_path(data) + "/secret", std::filesystem::perms(0640));
    write_file(bind + "/hosts.csv", "host,port\n");
    volume = volume_path(data);
    container = scene.start(
        "kuma",
        {"--volume", data + ":/app/data", "--volume", bind + ":/app/import", "--env", "KEPT=live"},
        image);
    check_ended(scene.bba({"backup", container}), 0);
    life = life_of(container);
  }

  std::string container, volume, life;
};

}  // namespace

TEST_CASE("E, a good set: every entry comes back, the receipt says so, and the gate opens") {
  NEEDS_ENGINE();
  Scene scene;
  const std::string data = scene.volume("data");
  REQUIRE(run({std::string(BBA_SOURCE_DIR) + "/fixtures/seed-files", volume_path(data) + "/upload"})
              .exit_code == 0);
  const std::string bind = scene.path("import");
  std::filesystem::create_directory(bind);
  write_file(bind + "/hosts.csv", "host,port\n");
  const std::string container = scene.start(
      "kuma", {"--volume", data + ":/app/data", "--volume", bind + "/hosts.csv:/etc/app/hosts.csv"},
      image);
  check_ended(scene.bba({"backup", container}), 0);
  const std::string life = life_of(container);
  check_ended(scene.bba({"gate", container, "--require", "drilled"}), 10);
  check_ended(scene.bba({"gate", container}), 0);

  const std::string since = event_clock();
  const Ended ended = scene.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(has(ended.out, " entries and "));
  CHECK(split(trimmed(ended.out), '\n').size() == 2);
  CHECK(life_of(container) == life);
  CHECK(events_of({container}, since) == Strings{});
  CHECK(scratch_of(container) == Strings{});
  CHECK(scene.journals() == Strings{});

  const std::string path = receipt_of(scene);
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
        std::filesystem::perms(0600));
  const Json receipt = *parse_json(read_file(path));
  CHECK(receipt.at("passed") == true);
  CHECK(receipt.at("module") == container);
  CHECK(receipt.at("compared").size() == 2);
  CHECK(receipt.at("compared")[0].at("entries") ==
        scene.manifest().at("artifacts")[0].at("found").at("entries"));
  // Older than the engine can restore.
  CHECK(receipt.at("compared")[0].at("times_clamped") == 1);
  CHECK(has(dump_json(receipt.at("not_proven")), "before 1970"));
  CHECK(run({"sha256sum", manifest_of(scene)}).out.substr(0, 64) == receipt.at("manifest_sha256"));
  CHECK(has(read_file(scene.path("proofs/" + container + ".json")), R"("level": "drilled")"));
  check_ended(scene.bba({"gate", container, "--require", "drilled"}), 0);

  // Again, by another reference: the same name, and as JSON.
  const Ended again = scene.bba(
      {"--json", "drill",
       scene.backups() + "/" + scene.manifest().at("artifacts")[1].at("file").get<std::string>()});
  check_ended(again, 0);
  CHECK(parse_json(again.out) == parse_json(read_file(path)));
  CHECK(again.out != pretty_json(receipt));
  check_ended(scene.bba({"prune", container, "--keep-last", "1"}), 0);
  CHECK(names_in(scene.backups()).size() == 4);
}

TEST_CASE("E, content and a mode that come back different: exit 7, naming the path") {
  NEEDS_ENGINE();
  Scene scene;
  const Files files(scene);
  check_ended(scene.bba({"drill", files.container}), 0);
  REQUIRE_FALSE(receipt_of(scene).empty());
  {
    Relay relay(scene);
    relay.lie("the truth of a file", "the lie about a fil");
    const Ended ended = run(relay.command({"drill", files.container}));
    check_ended(ended, 7);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "data/secret: its content's sha256 is "));
  }
  CHECK(receipt_of(scene).empty());
  CHECK_FALSE(std::filesystem::exists(scene.path("proofs/" + files.container + ".json")));
  check_ended(scene.bba({"gate", files.container, "--require", "drilled"}), 10);
  {
    Relay relay(scene);
    // The name fills its field, the mode is the next, and the checksum stays as it is.
    std::string name = "data/secret";
    name.resize(100, '\0');
    relay.lie(name + "0100640", name + "0100604");
    const Ended ended = run(relay.command({"drill", files.container}));
    check_ended(ended, 7);
    CHECK(has(ended.err, "data/secret: its mode is 0640, and 0604 after restoring"));
  }
  CHECK(life_of(files.container) == files.life);
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(scene.journals() == Strings{});
}

TEST_CASE("E, a set that does not pass verify is not restored, and one without container is not") {
  NEEDS_ENGINE();
  Scene scene;
  const Files files(scene);
  const std::string artifact =
      scene.backups() + "/" + scene.manifest().at("artifacts")[0].at("file").get<std::string>();
  const std::string good = read_file(artifact);
  write_file(artifact, good.substr(0, good.size() - 9));
  const Ended cut = scene.bba({"drill", files.container});
  check_ended(cut, 7);
  CHECK(has(cut.err, "does not pass verify"));
  write_file(artifact, good);

  docker({"rename", files.container, files.container + "-other"});
  check_ended(scene.bba({"drill", files.container}), 0);  // by its id
  docker({"rename", files.container + "-other", files.container});
  docker({"rm", "--force", files.container});
  const Ended missing = scene.bba({"drill", files.container});
  check_ended(missing, 4);
  CHECK(has(missing.err, "is not on this engine"));
  docker({"create", "--name", files.container, "--network", "none", image});
  check_ended(scene.bba({"drill", files.container}), 0);  // by its name
  CHECK(scratch_of(files.container) == Strings{});
}

namespace {

// A drill that stands still in the middle of its work, with a scratch container.
struct HeldDrill {
  HeldDrill(Scene& scene, const Files& files, const std::string& at)
      : relay(scene), module(files.container) {
    relay.hold_at(at);
    process.emplace(relay.command({"drill", module}));
    wait_until("the drill stands still", 30s, [&] { return relay.holds() || !process->running(); });
    INFO(process->err());
    REQUIRE(process->running());
    REQUIRE(scratch_of(module).size() == 2);
  }

  Relay relay;
  std::string module;
  std::optional<Process> process;
};

}  // namespace

TEST_CASE("E, SIGTERM and SIGINT half way: the scratch container is gone with the run") {
  NEEDS_ENGINE();
  Scene scene;
  const Files files(scene);
  for (const auto& [signal, exit_code] : {std::pair{SIGTERM, 143}, std::pair{SIGINT, 130}}) {
    CAPTURE(signal);
    HeldDrill held(scene, files, "/archive?path=");
    held.process->signal(signal);
    check_ended(held.process->wait(20s), exit_code);
    CHECK(scratch_of(files.container) == Strings{});
    CHECK(receipt_of(scene).empty());
    CHECK(scene.journals() == Strings{});
  }
  CHECK(life_of(files.container) == files.life);
}

TEST_CASE("E, SIGKILL half way: the guard removes the scratch container") {
  NEEDS_ENGINE();
  Scene scene;
  const Files files(scene);
  HeldDrill held(scene, files, "/archive?path=%2Fapp%2Fdata");
  held.relay.hold_at("");
  held.process->signal(SIGKILL);
  CHECK(held.process->wait().exit_code == -SIGKILL);
  wait_until("the scratch container is gone", 10s,
             [&] { return scratch_of(files.container).empty(); });
  wait_until("the guard ends", 10s, [&] { return !scene.guard(); });
  CHECK(scene.journals() == Strings{});
  CHECK(receipt_of(scene).empty());
}

TEST_CASE("E, the run and its guard killed: recover removes the scratch container") {
  NEEDS_ENGINE();
  Scene scene;
  const Files files(scene);
  {
    HeldDrill held(scene, files, "/archive?path=");
    std::optional<pid_t> guard;
    wait_until("a guard", 10s, [&] { return (guard = scene.guard()).has_value(); });
    REQUIRE(::kill(*guard, SIGKILL) == 0);
    held.process->signal(SIGKILL);
    CHECK(held.process->wait().exit_code == -SIGKILL);
    wait_until("the guard has ended", 10s, [&] { return !scene.guard(); });
    CHECK(scratch_of(files.container).size() == 2);
    held.relay.hold_at("");
    // The engine that the journal names is the relay.
    const Ended recovered = run(held.relay.command({"recover"}));
    check_ended(recovered, 0);
    CHECK(recovered.out.starts_with("scratch: bba-drill-" + files.container + "-"));
  }
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(scene.journals() == Strings{});
  check_ended(scene.bba({"drill", files.container}), 0);
}
