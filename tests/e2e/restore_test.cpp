// Restores into services that run: what comes back, what stays, what is refused, and what is left
// when a restore fails or is killed at any of its steps.
#include <csignal>
#include <filesystem>
#include <sys/stat.h>

#include "e2e/parked.hpp"
#include "e2e/postgres.hpp"
#include "e2e/redis.hpp"
#include "e2e/relay.hpp"
#include "e2e/support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";
const Strings forever{"sleep", "1000000"};
using Inventory = std::map<std::string, std::string>;

std::string shell(const std::string& container, const std::string& script) {
  return docker({"exec", container, "sh", "-ec", script});
}

Ended succeeds(const E2eFixture& fixture, const Strings& arguments) {
  const Ended ended = fixture.bba(arguments);
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  return ended;
}

void check_refused(const E2eFixture& fixture, const Strings& arguments, int exit_code,
                   const std::string& why) {
  const Ended ended = fixture.bba(arguments);
  CAPTURE(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(has(ended.err, why));
  CHECK(has(ended.err, "hint: "));
  CHECK(fixture.journals() == Strings{});
}

std::string restart_policy(const std::string& container) {
  return string_member(inspect(container).at("HostConfig").at("RestartPolicy"), "Name").value();
}

// A service that keeps files in a volume, with a set of an earlier state.
class FileService {
 public:
  explicit FileService(E2eFixture& fixture, const Strings& command = forever)
      : volume(fixture.volume("data")),
        module(fixture.start("files", {"--restart", "always", "--volume", volume + ":/data"}, image,
                             command)),
        parked(module) {
    shell(
        module,
        "mkdir -p /data/deep/er; echo old >/data/a; echo old >/data/deep/er/b; ln -s a /data/link; "
        "chown 33:33 /data/a; chmod 640 /data/a; touch -d @1000000000 /data/a /data/deep");
    old_state = inventory(volume_path(volume));
    succeeds(fixture, {"backup", module});
    shell(module, "echo new >/data/a; rm -r /data/deep; echo new >/data/c");
    new_state = inventory(volume_path(volume));
  }
  Inventory now() const { return inventory(volume_path(volume)); }
  bool runs() const { return inspect(module).at("State").at("Running") == true; }

  std::string volume;
  std::string module;
  Parked parked;
  Inventory old_state, new_state;
};

}  // namespace

TEST_CASE("restore, files in a volume: the old state is there, and undo goes back and forth") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  const std::string reader =
      fixture.start("reader", {"--volume", service.volume + ":/look:ro"}, image, forever);
  const std::string stopped =
      fixture.create("stopped", {"--volume", service.volume + ":/data"}, image, forever);
  const std::string other =
      fixture.start("other", {"--volume", fixture.volume("other") + ":/data"}, image, forever);
  const std::string life = life_of(other);

  const Ended plan = succeeds(fixture, {"restore", service.module, "--dry-run"});
  CHECK(has(plan.out, service.module + ": stopped, and started again"));
  CHECK(has(plan.out, reader + ": stopped, and started again"));
  CHECK(has(plan.out, stopped + ": does not run, and stays so"));
  CHECK_FALSE(has(plan.out, other));
  check_refused(fixture, {"restore", service.module}, 2, "there is no terminal to ask at");
  CHECK(difference(service.new_state, service.now()) == "");
  CHECK(service.parked.volumes() == Strings{});

  const Ended done = succeeds(fixture, {"restore", service.module, "--yes"});
  CHECK(has(done.out, "it was down for "));
  CHECK(difference(service.old_state, service.now()) == "");
  CHECK(shell(reader, "cat /look/deep/er/b") == "old");
  CHECK(restart_policy(service.module) == "always");
  CHECK(inspect(stopped).at("State").at("Status") == "created");
  CHECK(life_of(other) == life);
  CHECK(service.parked.volumes().size() == 1);
  CHECK(service.parked.containers().size() == 1);
  // What an engine of API 1.41 does not take for unused.
  docker({"volume", "prune", "--force", "--filter", "label=bba.parked=" + service.module});
  CHECK(service.parked.volumes().size() == 1);
  CHECK(has(succeeds(fixture, {"list"}).out, "for `restore --undo`"));

  shell(service.module, "echo later >/data/later");
  const Inventory later = service.now();
  succeeds(fixture, {"restore", service.module, "--undo", "--yes"});
  CHECK(difference(service.new_state, service.now()) == "");
  succeeds(fixture, {"restore", service.module, "--undo", "--yes"});
  CHECK(difference(later, service.now()) == "");

  succeeds(fixture, {"prune", service.module, "--parked"});
  CHECK(service.parked.volumes() == Strings{});
  CHECK(service.parked.containers() == Strings{});
  check_refused(fixture, {"restore", service.module, "--undo", "--yes"}, 3, "can be undone");
  CHECK(difference(later, service.now()) == "");
}

TEST_CASE("restore, a bind mount with what the set leaves out: that is carried over") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string directory = fixture.path("data of the app");
  fs::create_directory(directory);
  const std::string module =
      fixture.start("bind", {"--volume", directory + ":/data"}, image, forever);
  write_file(fixture.path("config.yaml"),
             "modules:\n  " + module + ":\n    excludes: [/data/cache]\n");
  const std::string config = fixture.path("config.yaml");
  shell(module, "mkdir /data/cache; echo old >/data/cache/c; echo old >/data/a");
  succeeds(fixture, {"backup", module, "--config", config});
  shell(module, "echo new >/data/cache/c; echo new >/data/a; setfattr -n user.kept -v yes /data");
  const Ended done = succeeds(fixture, {"restore", module, "--yes", "--config", config});
  CHECK(has(done.out, "kept as it was: /data/cache"));
  CHECK(shell(module, "cat /data/a /data/cache/c") == "old\nnew");
  CHECK(has(shell(module, "getfattr --only-values -n user.kept /data"), "yes"));
  // Beside it, and gone once it is not wanted any more.
  const auto beside = [&] {
    std::size_t count = 0;
    for (const std::string& name : names_in(fixture.path("."))) {
      count += name.starts_with(".bba-parked-") ? 1 : 0;
    }
    return count;
  };
  CHECK(beside() == 1);
  succeeds(fixture, {"restore", module, "--undo", "--yes"});
  CHECK(shell(module, "cat /data/a") == "new");
  succeeds(fixture, {"prune", "--parked"});
  CHECK(beside() == 0);
}

TEST_CASE("restore, the service does not stay up on what is restored: exchanged back, exit 6") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // Whoever finds the old state ends.
  const FileService service(
      fixture, {"sh", "-c",
                "if [ -e /data/c ] || [ ! -e /data/deep ]; then exec sleep 1000000; fi; "
                "echo cannot read the old format >&2; exit 3"});
  const Ended ended = fixture.bba({"restore", service.module, "--yes"});
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "does not stay up on what was restored"));
  CHECK(has(ended.err, "cannot read the old format"));
  CHECK(has(ended.err, "what was restored is parked"));
  CHECK(difference(service.new_state, service.now()) == "");
  CHECK(service.runs());
  CHECK(restart_policy(service.module) == "always");
  CHECK(has(succeeds(fixture, {"list"}).out, "the service did not take"));
  check_refused(fixture, {"restore", service.module, "--undo", "--yes"}, 3, "can be undone");
  succeeds(fixture, {"prune", "--parked"});
  CHECK(service.parked.volumes() == Strings{});
}

TEST_CASE("restore, killed at each step: the state before or the finished one, and it runs") {
  NEEDS_ENGINE();
  // What the run is about to send when it is killed, and whether the restore is proven by then.
  struct Step {
    const char* request;
    bool proven;
  };
  for (const Step& step : {Step{"/volumes/create", false}, Step{"/containers/create", false},
                           Step{"/archive?", false}, Step{"/update", false}, Step{"/stop?", false},
                           Step{"/start", false}, Step{"\"Name\":\"always\"", true}}) {
    for (const bool with_guard : {false, true}) {
      CAPTURE(step.request);
      CAPTURE(with_guard);
      E2eFixture fixture;
      const FileService service(fixture);
      Relay relay(fixture);
      relay.hold_at(step.request);
      {
        Process run(relay.command({"restore", service.module, "--yes"}));
        wait_until("the run stalls at its step", 60s, [&] { return relay.holds(); });
        if (with_guard) {
          const auto guard = fixture.guard();
          REQUIRE(guard);
          ::kill(*guard, SIGKILL);
        }
        run.signal(SIGKILL);
        CHECK(run.wait().exit_code == -SIGKILL);
      }
      relay.hold_at("");
      if (with_guard) {
        CHECK(fixture.journals().size() == 1);
        const Ended recovered = fixture.bba({"recover"});
        CAPTURE(recovered.err);
        CHECK(recovered.exit_code == 0);
        CHECK(has(recovered.out, step.proven ? "finished" : "undone"));
      }
      fixture.wait_for_guard_to_end();
      CHECK(fixture.journals() == Strings{});
      CHECK(difference(step.proven ? service.old_state : service.new_state, service.now()) == "");
      CHECK(service.runs());
      CHECK(restart_policy(service.module) == "always");
      if (!step.proven && std::string_view(step.request) != "/start") {
        CHECK(service.parked.volumes() == Strings{});
        CHECK(service.parked.containers() == Strings{});
      }
    }
  }
}

TEST_CASE("restore, SIGINT while it is built and while it is exchanged: 130, and as it was") {
  NEEDS_ENGINE();
  for (const std::string request : {"/archive?", "/stop?"}) {
    CAPTURE(request);
    E2eFixture fixture;
    const FileService service(fixture);
    Relay relay(fixture);
    relay.hold_at(request);
    Process run(relay.command({"restore", service.module, "--yes"}));
    wait_until("the run stalls at its step", 60s, [&] { return relay.holds(); });
    relay.hold_at("");
    run.signal(SIGINT);
    const Ended ended = run.wait();
    CAPTURE(ended.err);
    CHECK(ended.exit_code == 130);
    CHECK(difference(service.new_state, service.now()) == "");
    CHECK(service.runs());
    CHECK(restart_policy(service.module) == "always");
    CHECK(service.parked.volumes() == Strings{});
    CHECK(fixture.journals() == Strings{});
    fixture.wait_for_guard_to_end();
  }
}

TEST_CASE("restore, the newest good set is taken, and a damaged one is never restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  succeeds(fixture, {"backup", service.module});
  std::string newest;
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".tar.gz")) newest = name;
  }
  fs::resize_file(fixture.backups() + "/" + newest, 100);
  check_refused(fixture, {"restore", service.module, "--yes", "--set", newest}, 7,
                "does not pass verify");
  CHECK(difference(service.new_state, service.now()) == "");
  const Ended done = succeeds(fixture, {"restore", service.module, "--yes"});
  CHECK(has(done.err, "passed over"));
  CHECK(difference(service.old_state, service.now()) == "");
}

TEST_CASE("restore, what cannot be exchanged is refused before anything is touched") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  const Strings restore{"restore", service.module, "--yes"};
  const std::string life = life_of(service.module);
  {
    const std::string user =
        fixture.start("paused", {"--volume", service.volume + ":/data"}, image, forever);
    docker({"pause", user});
    check_refused(fixture, restore, 4, user + " is paused");
    docker({"unpause", user});
    docker({"rm", "--force", user});
  }
  {
    const std::string user = fixture.start(
        "passing", {"--rm", "--volume", service.volume + ":/data:ro"}, image, forever);
    check_refused(fixture, restore, 4, user + " was started with --rm");
    docker({"stop", "--time", "0", user});
  }
  CHECK(life_of(service.module) == life);
  CHECK(difference(service.new_state, service.now()) == "");

  write_file(fixture.path("one.conf"), "old");
  const std::string file = fixture.start(
      "file", {"--volume", fixture.path("one.conf") + ":/etc/one.conf"}, image, forever);
  succeeds(fixture, {"backup", file});
  check_refused(fixture, {"restore", file, "--yes"}, 4, "only a whole directory can be exchanged");

  // Whoever may rename the directory could put another one in its place.
  fs::create_directories(fixture.path("open/data"));
  fs::permissions(fixture.path("open"), fs::perms::all);
  const std::string open =
      fixture.start("open", {"--volume", fixture.path("open/data") + ":/data"}, image, forever);
  succeeds(fixture, {"backup", open});
  check_refused(fixture, {"restore", open, "--yes"}, 4, "can be written by others");

  const std::string part =
      fixture.start("part", {"--volume", fixture.volume("part") + ":/data"}, image, forever);
  shell(part, "mkdir /data/sub; echo old >/data/sub/a");
  succeeds(fixture, {"backup", part, "--path", "/data/sub"});
  check_refused(fixture, {"restore", part, "--yes"}, 4, "a part of the mount /data");
}

TEST_CASE("restore, PostgreSQL: dump and configuration come together, and later rows with undo") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("cluster");
  const std::string module =
      fixture.start("restored-postgres",
                    {"--env", "POSTGRES_USER=app", "--env", "POSTGRES_DB=app", "--env",
                     "POSTGRES_PASSWORD=s3cret", "--volume", volume + ":/var/lib/postgresql/data"},
                    "bba-fixture/postgres:15");
  const Parked parked(module);
  const auto answers = [&] {
    return run({"docker", "-H", host(), "exec", module, "pg_isready", "-q", "-h", "127.0.0.1"})
               .exit_code == 0;
  };
  const auto ask = [&](const std::string& sql) {
    return docker({"exec", module, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "app", "-d",
                   "app", "-c", sql});
  };
  wait_until("a server", 60s, answers);
  ask("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
  ask("CREATE ROLE reader LOGIN");
  succeeds(fixture, {"backup", module});
  ask("DELETE FROM t WHERE n > 10");
  ask("CREATE TABLE newer AS SELECT 1");
  ask("ALTER SYSTEM SET work_mem = '7MB'");

  const Ended done = succeeds(fixture, {"restore", module, "--yes"});
  CHECK(has(done.out, "kept as it was: /var/lib/postgresql/data/postgresql.auto.conf"));
  CHECK(ask("SELECT count(*) FROM t") == "1000");
  CHECK(ask("SELECT to_regclass('newer')") == "");
  CHECK(ask("SELECT count(*) FROM pg_roles WHERE rolname = 'reader'") == "1");
  CHECK(ask("SHOW work_mem") == "7MB");
  ask("INSERT INTO t VALUES (-1)");

  succeeds(fixture, {"restore", module, "--undo", "--yes"});
  CHECK(ask("SELECT count(*) FROM t") == "10");
  CHECK(ask("SELECT to_regclass('newer')") == "newer");

  // A cluster of which a part lies elsewhere.
  shell(module, "mkdir -p /srv/space && chown postgres /srv/space");
  ask("CREATE TABLESPACE elsewhere LOCATION '/srv/space'");
  check_refused(fixture, {"restore", module, "--yes"}, 4, "the cluster has tablespaces");
  ask("DROP TABLESPACE elsewhere");
  docker({"exec", module, "touch", "/var/lib/postgresql/data/standby.signal"});
  check_refused(fixture, {"restore", module, "--yes"}, 4, "the server is a standby");
  CHECK(ask("SELECT count(*) FROM t") == "10");
}

TEST_CASE("restore, Redis with an append-only file: the keys of the set, and undo") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.options = {"--volume", fixture.volume("cache") + ":/data"};
  setup.arguments = {"--appendonly", "yes"};
  const RedisServer server(fixture, "redis", setup);
  const Parked parked(server.container());
  server.seed();
  const std::string digest = server.digest();
  succeeds(fixture, {"backup", server.container()});
  server.ask({"FLUSHALL"});
  server.ask({"SET", "later", "1"});
  const std::string later = server.digest();
  succeeds(fixture, {"restore", server.container(), "--yes"});
  CHECK(server.digest() == digest);
  succeeds(fixture, {"restore", server.container(), "--undo", "--yes"});
  CHECK(server.digest() == later);
  // It would take the master's keys again.
  server.ask({"REPLICAOF", "127.0.0.1", "1"});
  check_refused(fixture, {"restore", server.container(), "--yes"}, 4, "the server is a replica");
}

}  // namespace e2e
