// Restores into services that run: what comes back, what stays, what is refused, and what is left
// when a restore fails. Those that are killed: restore_killed_test.cpp.
#include <csignal>
#include <filesystem>
#include <sys/stat.h>

#include "e2e/postgres.hpp"
#include "e2e/redis.hpp"
#include "e2e/relay.hpp"
#include "e2e/restore_support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* image = files_image;

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
  const std::string directory = fixture.path("apps/data of the app");
  fs::create_directories(directory);
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
    for (const std::string& name : names_in(fixture.path("apps"))) {
      count += name.starts_with(".bba-parked-") ? 1 : 0;
    }
    return count;
  };
  CHECK(beside() == 1);
  // Who has the directory above does not take it for data.
  const std::string above =
      fixture.start("above", {"--volume", fixture.path("apps") + ":/apps"}, image, forever);
  const Ended taken = succeeds(fixture, {"backup", above});
  const Ended entries = run({"tar", "--list", "--gzip", "--file", std::string(trimmed(taken.out))});
  CHECK(has(entries.out, "apps/data of the app/a"));
  CHECK_FALSE(has(entries.out, ".bba-parked-"));
  docker({"rm", "--force", above});
  succeeds(fixture, {"restore", module, "--undo", "--yes"});
  CHECK(shell(module, "cat /data/a") == "new");
  succeeds(fixture, {"prune", "--parked"});
  CHECK(beside() == 0);
}

TEST_CASE("undo, somebody looks at what is parked: not exchanged under their hands") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  succeeds(fixture, {"restore", service.module, "--yes"});
  const std::string looker = fixture.start(
      "looker", {"--volume", service.parked.volumes().front() + ":/look"}, image, forever);
  const Ended ended = fixture.bba({"restore", service.module, "--undo", "--yes"});
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "is still mounted, by "));
  CHECK(difference(service.old_state, service.now()) == "");
  CHECK(service.runs());
  CHECK(shell(looker, "cat /look/a") == "new");
  docker({"rm", "--force", looker});
  succeeds(fixture, {"restore", service.module, "--undo", "--yes"});
  CHECK(difference(service.new_state, service.now()) == "");
}

TEST_CASE("undo, the service was made anew on another volume: refused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  succeeds(fixture, {"restore", service.module, "--yes"});
  docker({"rm", "--force", service.module});
  docker({"run", "--detach", "--name", service.module, "--network", "none", "--volume",
          fixture.volume("another") + ":/data", image, "sleep", "1000000"});
  check_refused(fixture, {"restore", service.module, "--undo", "--yes"}, 4, "is not mounted in");
  CHECK(difference(service.old_state, service.now()) == "");
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
