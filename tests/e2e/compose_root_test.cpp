// Classes G and F: a compose project's directory on this host beside the mounted data, and engines
// whose own dump is not proven.
#include <array>
#include <csignal>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e/postgres.hpp"
#include "e2e/redis.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";
constexpr const char* working_dir = "com.docker.compose.project.working_dir";

// A compose project as an operator keeps one, with the data of one service inside of it.
struct Project {
  explicit Project(const E2eFixture& fixture) : root(fixture.path("agaria")) {
    fs::create_directories(root + "/data");
    fs::create_directories(root + "/conf.d/empty");
    write_file(root + "/compose.yaml", "services:\n  redis:\n    image: redis:7\n");
    write_file(root + "/.env", "TOKEN=none\n");
    REQUIRE(::chmod((root + "/.env").c_str(), 0600) == 0);
    write_file(root + "/conf.d/with blank\nand line.conf", "x\n");
    write_file(root + "/conf.d/zażółć.conf", std::string(300'000, 'z'));
    REQUIRE(::chown((root + "/conf.d/zażółć.conf").c_str(), 1234, 4321) == 0);
    REQUIRE(::symlink("compose.yaml", (root + "/docker-compose.yml").c_str()) == 0);
    REQUIRE(::link((root + "/.env").c_str(), (root + "/conf.d/env").c_str()) == 0);
    write_file(root + "/up", "#!/bin/sh\n");
    REQUIRE(::chmod((root + "/up").c_str(), 04755) == 0);
  }

  Strings label() const { return {"--label", std::string(working_dir) + "=" + root}; }

  // Without the data, which is an artifact of its own.
  std::map<std::string, std::string> files() const {
    auto all = inventory(root);
    std::erase_if(all, [](const auto& one) { return one.first.starts_with("data"); });
    // The directory's own time changes when the data in it is removed or restored.
    all.erase("");
    return all;
  }

  std::string root;
};

std::string file_of(const E2eFixture& fixture, const Json& artifact) {
  return fixture.backups() + "/" + artifact.at("file").get<std::string>();
}

}  // namespace

TEST_CASE(
    "G, agaria-redis: project directory and mounted data are backed up and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  RedisSetup setup;
  setup.options = project.label();
  setup.options.insert(setup.options.end(), {"--volume", project.root + "/data:/data"});
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  server.ask({"SAVE"});
  const std::string digest = server.digest();
  const std::string life = life_of(server.container());

  // The module's name chooses the class; the container has another one.
  const Ended ended = fixture.bba({"backup", "agaria-redis", "--container", server.container()});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "G");
  CHECK(manifest.at("rule") == "module name matches agaria-redis (class G)");
  CHECK(manifest.at("strategy") == "compose project and mounted data archive");
  CHECK(manifest.at("container").at("compose").at("working_dir") == project.root);
  REQUIRE(manifest.at("follow_ups").size() == 1);
  CHECK(has(manifest.at("follow_ups")[0], "follow-up required"));
  REQUIRE(manifest.at("consistency").at("paused").size() == 1);
  REQUIRE(manifest.at("artifacts").size() == 2);
  const Json& compose = manifest.at("artifacts")[0];
  CHECK(compose.at("part") == "compose");
  CHECK(compose.at("kind") == "host-directory");
  CHECK(compose.at("source") == "host:" + project.root);
  const Json& data = manifest.at("artifacts")[1];
  CHECK(data.at("part") == "data");
  CHECK(data.at("source") == "/data");
  CHECK(ended.out == file_of(fixture, compose) + "\n" + file_of(fixture, data) + "\n");
  const Ended listing = run({"tar", "-tzf", file_of(fixture, compose)});
  CHECK(has(listing.out, "agaria/compose.yaml\n"));
  CHECK_FALSE(has(listing.out, "agaria/data"));
  // The directory itself is an entry, too.
  CHECK(compose.at("found").at("entries") == project.files().size() + 1);
  CHECK(fixture.bba({"verify", "agaria-redis"}).exit_code == 0);

  // Everything is lost.
  const auto files = project.files();
  fs::rename(project.root, project.root + ".lost");
  const RedisServer second(fixture, "second");
  const Ended restored = fixture.restore_by_hand(second.container());
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(difference(files, project.files()) == "");
  second.wait_until_ready();
  CHECK(second.digest() == digest);
}

TEST_CASE("G, agaria-postgres: the configuration names its container and its project directory") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  const std::string volume = fixture.volume("data");
  write_file(volume_path(volume) + "/PG_VERSION", "15\n");
  const std::string container = fixture.start("db", {"--volume", volume + ":/var/lib/data"}, image);
  write_file(fixture.path("bba.yaml"), "modules:\n  agaria-postgres:\n    container: " + container +
                                           "\n    compose_root: " + project.root + "\n");
  const Ended planned =
      fixture.bba({"plan", "agaria-postgres", "--config", fixture.path("bba.yaml"), "--json"});
  INFO(planned.err);
  REQUIRE(planned.exit_code == 0);
  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  CHECK(plan->at("class") == "G");
  CHECK(plan->at("requests")[1] == "read " + project.root + " on this host");

  const Ended ended =
      fixture.bba({"backup", "agaria-postgres", "--config", fixture.path("bba.yaml")});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("rule") == "module name matches agaria-postgres (class G)");
  CHECK(has(dump_json(manifest.at("follow_ups")), "follow-up required"));
  REQUIRE(manifest.at("artifacts").size() == 2);
  CHECK(manifest.at("artifacts")[1].at("part") == "var-lib-data");
  // Data outside the directory: the project is archived completely.
  CHECK(manifest.at("artifacts")[0].at("found").at("entries") == inventory(project.root).size());
}

TEST_CASE(
    "G, a project directory that is unknown or missing: exit 3, and the error says what to do") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string container = fixture.start("db", {"--volume", volume + ":/data"}, image);
  const std::string life = life_of(container);
  const Ended unknown = fixture.bba({"backup", container, "--class", "G"});
  CHECK(unknown.exit_code == 3);
  CHECK(has(unknown.err, "hint: set modules." + container + ".compose_root"));
  write_file(fixture.path("bba.yaml"),
             "modules:\n  " + container + ":\n    compose_root: /no/such/project\n");
  const Ended missing =
      fixture.bba({"backup", container, "--class", "G", "--config", fixture.path("bba.yaml")});
  CHECK(missing.exit_code == 3);
  CHECK(has(missing.err, "/no/such/project"));
  CHECK(has(missing.err, "hint: set modules." + container + ".compose_root"));
  fixture.check_nothing_left();
  CHECK(life_of(container) == life);
}

TEST_CASE("G, a project directory that is a symlink: the link's target is archived") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  write_file(project.root + "/data/file", "content");
  fs::create_directory_symlink(project.root, fixture.path("opt"));
  const std::string container =
      fixture.start("db",
                    {"--label", std::string(working_dir) + "=" + fixture.path("opt"), "--volume",
                     fixture.path("opt") + "/data:/data"},
                    image);
  const Ended ended = fixture.bba({"backup", container, "--class", "G"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json artifacts = fixture.manifest().at("artifacts");
  REQUIRE(artifacts.size() == 2);
  CHECK(artifacts[0].at("source") == "host:" + project.root);
  // The data is a part of its own, however its source is spelled.
  CHECK(artifacts[0].at("found").at("entries") == project.files().size() + 1);
  CHECK(artifacts[1].at("found").at("files") == 1);
}

TEST_CASE("G, files that other containers write, and those that excludes name, are left out") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  fs::create_directory(project.root + "/db");
  write_file(project.root + "/db/live", "being written");
  write_file(project.root + "/video.iso", "large");
  Strings options = project.label();
  options.insert(options.end(), {"--volume", project.root + "/data:/data"});
  const std::string container = fixture.start("app", options, image);
  const std::string neighbour =
      fixture.start("db",
                    {"--volume", project.root + "/db:/db", "--volume",
                     project.root + "/conf.d:/etc/conf.d:ro", "--volume", project.root + "/up:/up"},
                    image);
  write_file(fixture.path("bba.yaml"), "modules:\n  " + container +
                                           ":\n    class: G\n    excludes: [\"" + project.root +
                                           "/*.iso\"]\n");
  const Ended ended = fixture.bba({"backup", container, "--config", fixture.path("bba.yaml")});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(has(ended.err, project.root + "/db is not in the compose project's archive: " + neighbour));
  const Json manifest = fixture.manifest();
  CHECK(has(dump_json(manifest.at("warnings")), project.root + "/db is not in"));
  const Ended listed = run({"tar", "-tzf", file_of(fixture, manifest.at("artifacts")[0])});
  CHECK_FALSE(has(listed.out, "agaria/db"));
  CHECK_FALSE(has(listed.out, "video.iso"));
  CHECK(has(listed.out, "agaria/conf.d/empty/\n"));
  // A file that is mounted is configuration.
  CHECK(has(listed.out, "agaria/up\n"));
}

TEST_CASE("G, with paths, the mounts that no path touches stay in the directory's archive") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  write_file(project.root + "/data/file", "content");
  const std::string config = fixture.volume("config");
  write_file(volume_path(config) + "/settings", "x");
  Strings options = project.label();
  options.insert(options.end(),
                 {"--volume", project.root + "/data:/data", "--volume", config + ":/config"});
  const std::string container = fixture.start("app", options, image);
  const Ended ended = fixture.bba({"backup", container, "--class", "G", "--path", "/config"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json artifacts = fixture.manifest().at("artifacts");
  REQUIRE(artifacts.size() == 2);
  CHECK(artifacts[1].at("source") == "/config");
  CHECK(has(run({"tar", "-tzf", file_of(fixture, artifacts[0])}).out, "agaria/data/file\n"));
}

namespace {

// A module whose backup takes a while, because of one large file.
struct SlowRun {
  std::string container, file;
  Strings backup;
  std::string life = life_of(container);

  Process half_way(const E2eFixture& fixture) const {
    Process run = fixture.begin(backup);
    wait_until("the large file is read", 30s,
               [&] { return read_position(file).value_or(0) > 0 || !run.running(); });
    REQUIRE(run.running());
    REQUIRE(paused(container));
    return run;
  }
};

// A class G module, whose file is read by the program itself.
SlowRun slow_project(E2eFixture& fixture, const Project& project) {
  const std::string file = project.root + "/big.bin";
  write_file(file, "");
  fs::resize_file(file, 1 << 30);
  Strings options = project.label();
  options.insert(options.end(), {"--volume", fixture.volume("data") + ":/data"});
  const std::string container = fixture.start("db", options, image);
  return {container, file, {"backup", container, "--class", "G"}};
}

// A class F module, whose file the engine reads.
SlowRun slow_engine(E2eFixture& fixture) {
  const std::string volume = fixture.volume("data");
  const std::string file = volume_path(volume) + "/big.bin";
  write_file(file, "");
  fs::resize_file(file, 512 << 20);
  const std::string container =
      fixture.start("engine", {"--volume", volume + ":/meili_data"}, image);
  return {container, file, {"backup", "karakeep-meilisearch", "--container", container}};
}

void check_undone(const E2eFixture& fixture, const SlowRun& slow) {
  CHECK_FALSE(paused(slow.container));
  CHECK(life_of(slow.container) == slow.life);
  fixture.check_nothing_left();
}

void check_signals(const E2eFixture& fixture, const SlowRun& slow) {
  for (const auto& [sent, exit_code] :
       {std::pair{SIGTERM, 143}, std::pair{SIGINT, 130}, std::pair{SIGHUP, 143}}) {
    const int number = sent;
    CAPTURE(number);
    Process run = slow.half_way(fixture);
    run.signal(sent);
    CHECK(run.wait(10s).exit_code == exit_code);
    check_undone(fixture, slow);
  }
  Process run = slow.half_way(fixture);
  run.signal(SIGKILL);
  wait_until("the guard has unpaused", 2s, [&] { return !paused(slow.container); });
  CHECK(run.wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
  check_undone(fixture, slow);
}

void check_changed_file(const E2eFixture& fixture, const SlowRun& slow) {
  Process run = slow.half_way(fixture);
  run.signal(SIGSTOP);
  REQUIRE(read_position(slow.file).value_or(fs::file_size(slow.file)) <
          fs::file_size(slow.file) / 2);
  fs::resize_file(slow.file, 1 << 20);
  run.signal(SIGCONT);
  const Ended ended = run.wait(30s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "big.bin"));
  check_undone(fixture, slow);
}

// `directory`: of the module's data.
void check_full_disk(const SlowRun& slow, const std::string& directory) {
  E2eFixture small;
  small.small_backup_directory("64k");
  REQUIRE(run({"dd", "if=/dev/urandom", "of=" + directory + "/a-noise", "bs=256k", "count=1"})
              .exit_code == 0);
  const Ended ended = small.bba(slow.backup);
  CHECK(ended.exit_code == 8);
  CHECK(has(ended.err, "No space left on device"));
  check_undone(small, slow);
}

void check_killed_container(const E2eFixture& fixture, const SlowRun& slow) {
  const pid_t first = first_process_of(slow.container);
  Process run = slow.half_way(fixture);
  REQUIRE(::kill(first, SIGKILL) == 0);
  const Ended ended = run.wait();
  INFO(ended.err);
  // It dies when it is unpaused: until then it changes nothing, and the archives are complete.
  CHECK(ended.exit_code == 0);
  CHECK(fixture.bba({"verify", fixture.manifest().at("module")}).exit_code == 0);
  CHECK_FALSE(paused(slow.container));
  CHECK(fixture.journals() == Strings{});
}

}  // namespace

TEST_CASE("G, interrupted half way by signals, a changed file, a full disk or a killed container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Project project(fixture);
  const SlowRun slow = slow_project(fixture, project);
  check_signals(fixture, slow);
  check_changed_file(fixture, slow);
  check_full_disk(slow, project.root);
  fs::resize_file(slow.file, 256 << 20);
  check_killed_container(fixture, slow);
}

TEST_CASE("F, interrupted half way by signals, a changed file, a full disk or a killed container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowRun slow = slow_engine(fixture);
  check_signals(fixture, slow);
  check_changed_file(fixture, slow);
  check_full_disk(slow, fs::path(slow.file).parent_path());
  fs::resize_file(slow.file, 256 << 20);
  check_killed_container(fixture, slow);
}

TEST_CASE("F, karakeep-meilisearch and searxng: restored by hand, and marked as not proven") {
  NEEDS_ENGINE();
  for (const std::string module : {"karakeep-meilisearch", "searxng"}) {
    CAPTURE(module);
    E2eFixture fixture;
    const std::string volume = fixture.volume("data");
    write_file(volume_path(volume) + "/data.ms", std::string(100'000, 'x'));
    Strings options{"--volume", volume + ":/meili_data"};
    if (module == "searxng") {
      options.insert(options.end(), {"--label", "org.opencontainers.image.version=2026.11.1"});
    }
    const std::string container = fixture.start("engine", options, image);
    const std::string life = life_of(container);
    const Ended ended = fixture.bba({"backup", module, "--container", container});
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(life_of(container) == life);
    const Json manifest = fixture.manifest();
    CHECK(manifest.at("class") == "F");
    CHECK(manifest.at("rule") == "module name matches " + module + " (class F)");
    // The version that wrote the files is the image's label, or else the image itself.
    if (module == "searxng") {
      CHECK(manifest.at("follow_ups") == Json{"engine-specific dump not proven"});
      CHECK(manifest.at("facts").at("image_version") == "2026.11.1");
    } else {
      REQUIRE(manifest.at("follow_ups").size() == 2);
      CHECK(manifest.at("follow_ups")[0] == "engine-specific dump not proven");
      CHECK(has(manifest.at("follow_ups")[1], inspect(container).at("Image")));
    }
    REQUIRE(manifest.at("consistency").at("paused").size() == 1);
    CHECK(manifest.at("container").at("image") == image);
    CHECK(fixture.bba({"verify", module}).exit_code == 0);

    const std::string other = fixture.volume("restored");
    const std::string second = fixture.start("second", {"--volume", other + ":/meili_data"}, image);
    REQUIRE(fixture.restore_by_hand(second).exit_code == 0);
    CHECK(difference(inventory(volume_path(volume)), inventory(volume_path(other))) == "");
  }
}

TEST_CASE("G, a container that is stopped or paused is backed up and stays so") {
  NEEDS_ENGINE();
  for (const std::string state : {"stopped", "paused"}) {
    CAPTURE(state);
    E2eFixture fixture;
    const Project project(fixture);
    const std::string volume = fixture.volume("data");
    write_file(volume_path(volume) + "/dump.rdb.bak", std::string(100'000, 'x'));
    Strings options = project.label();
    options.insert(options.end(), {"--volume", volume + ":/srv/data"});
    const std::string container = fixture.start("db", options, image);
    docker({state == "paused" ? "pause" : "kill", container});
    const std::string life = life_of(container);
    const EventLog log({container});
    const Ended ended = fixture.bba({"backup", "agaria-redis", "--container", container});
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(life_of(container) == life);
    CHECK_FALSE(has(join(log.events(), "\n"), "pause"));
    CHECK(fixture.journals() == Strings{});
    const Json manifest = fixture.manifest();
    CHECK(manifest.at("class") == "G");
    CHECK(manifest.at("consistency") == Json{{"mode", state}, {"paused", Json::array()}});
    REQUIRE(manifest.at("artifacts").size() == 2);
    CHECK(manifest.at("artifacts")[0].at("found").at("entries") == inventory(project.root).size());
    CHECK(manifest.at("artifacts")[1].at("source") == "/srv/data");
    CHECK(has(run({"tar", "-tzf", file_of(fixture, manifest.at("artifacts")[1])}).out,
              "data/dump.rdb.bak"));
    CHECK(fixture.bba({"verify", "agaria-redis"}).exit_code == 0);
    if (state == "paused") docker({"unpause", container});
  }
}
