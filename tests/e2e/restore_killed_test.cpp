// Restores that are killed, alone or with their guard, at their steps: afterwards the service runs,
// and has what it had before or what was restored, never a part of each.
#include <filesystem>
#include <optional>

#include "e2e/redis.hpp"
#include "e2e/restore_support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* undone = "undone";
constexpr const char* finished = "finished";

// A service under `restart: always` in one of two states. Its set has the old one, and it has the
// new one now.
struct TwoStates {
  std::string module;
  // "old" or "new", by all that it has; what it has where it is neither. It takes writes, too.
  std::function<std::string()> state;
  std::function<void()> make_new;  // of the old one
};

// Kills restores while they build, between exchange and start, and once they are proven.
void check_killed_at_its_steps(const E2eFixture& fixture, const TwoStates& service,
                               const std::string& building) {
  REQUIRE(service.state() == "new");
  const std::string id = string_member(inspect(service.module), "Id").value();
  struct Step {
    std::string request;
    bool proven;
  };
  for (const Step& step : {Step{building, false}, Step{"/containers/" + id + "/start", false},
                           Step{"\"Name\":\"always\"", true}}) {
    for (const bool with_guard : {false, true}) {
      CAPTURE(step.request);
      CAPTURE(with_guard);
      kill_restore(fixture, service.module, step.request, with_guard,
                   step.proven ? finished : undone);
      CHECK(runs(service.module));
      CHECK(service.state() == (step.proven ? "old" : "new"));
      CHECK(restart_policy(service.module) == "always");
      if (!step.proven) continue;
      service.make_new();
      REQUIRE(service.state() == "new");
    }
  }
}

std::string which(const std::string& now, const std::string& old_state,
                  const std::string& new_state) {
  return now == old_state ? "old" : now == new_state ? "new" : "neither: " + now;
}

}  // namespace

TEST_CASE("restore, killed at each step: the state before or the finished one, and it runs") {
  NEEDS_ENGINE();
  // What the run is about to send when it is killed, and whether the restore is proven by then.
  struct Step {
    const char* request;
    bool proven;
  };
  E2eFixture fixture;
  std::optional<FileService> service;
  for (const Step& step : {Step{"/volumes/create", false}, Step{"/containers/create", false},
                           Step{"/archive?", false}, Step{"/update", false}, Step{"/stop?", false},
                           Step{"/start", false}, Step{"\"Name\":\"always\"", true}}) {
    for (const bool with_guard : {false, true}) {
      CAPTURE(step.request);
      CAPTURE(with_guard);
      if (!service) service.emplace(fixture);
      kill_restore(fixture, service->module, step.request, with_guard,
                   step.proven ? finished : undone);
      CHECK(difference(step.proven ? service->old_state : service->new_state, service->now()) ==
            "");
      CHECK(service->runs());
      CHECK(restart_policy(service->module) == "always");
      // Clients may have written to what the service was started on.
      const bool parks = step.proven || std::string_view(step.request) == "/start";
      CHECK(service->parked.volumes().size() == (parks ? 1 : 0));
      CHECK(service->parked.containers().size() == (parks ? 1 : 0));
      if (parks) service.reset();
    }
  }
}

TEST_CASE("restore of a bind mount with two containers on it, killed: both run on one state") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string directory = fixture.path("shared");
  fs::create_directory(directory);
  const std::string module = fixture.start(
      "bind", {"--restart", "always", "--volume", directory + ":/data"}, files_image, forever);
  const std::string other =
      fixture.start("other", {"--restart", "unless-stopped", "--volume", directory + ":/srv"},
                    files_image, forever);
  shell(module, "mkdir /data/d; echo old >/data/a; echo old >/data/d/b");
  const Inventory old_state = inventory(directory);
  succeeds(fixture, {"backup", module});
  const auto make_new = [&] {
    shell(module,
          "echo new >/data/a; rm -r /data/d; echo new >/data/c; touch -d @1000000000 "
          "/data/a /data/c /data");
  };
  make_new();
  const Inventory new_state = inventory(directory);
  const auto state = [&]() -> std::string {
    CHECK(runs(other));
    CHECK(restart_policy(other) == "unless-stopped");
    // Both see what is there now.
    CHECK(shell(other, "stat -c %i /srv") == shell(module, "stat -c %i /data"));
    const Inventory now = inventory(directory);
    if (now == old_state) return "old";
    return now == new_state ? "new" : "neither: " + difference(new_state, now);
  };
  check_killed_at_its_steps(fixture, {module, state, make_new}, "/archive?");
  succeeds(fixture, {"prune", "--parked"});
  for (const std::string& name : names_in(fixture.path("."))) {
    CHECK_FALSE(name.starts_with(".bba-parked-"));
  }
}

TEST_CASE("restore of a SQLite database under writes, killed: it is whole, and is written on") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string module = fixture.start(
      "sqlite", {"--restart", "always", "--volume", fixture.volume("database") + ":/data"},
      files_image, {"sqlite-writer", "/data/kuma.db"});
  const Parked parked(module);
  const auto ask = [&](const std::string& sql) {
    return docker({"exec", module, "sqlite3", "-cmd", ".timeout 10000", "/data/kuma.db", sql});
  };
  const auto rows = [&] { return std::stol(ask("SELECT count(*) + max(id) FROM heartbeat")); };
  const auto wait_for_writes = [&] {
    const auto has_rows = [&] {
      return run({"docker", "-H", host(), "exec", module, "sqlite3", "/data/kuma.db",
                  "SELECT 1 FROM heartbeat LIMIT 1"})
                 .out == "1\n";
    };
    wait_until("rows", 30s, has_rows);
    const long before = rows();
    wait_until("more rows", 30s, [&] { return rows() > before; });
  };
  wait_for_writes();
  // Of which state each row is; a trigger, as the writer does not know of the states.
  ask("CREATE TABLE now (state TEXT); INSERT INTO now VALUES ('old'); "
      "CREATE TABLE written (state TEXT PRIMARY KEY); "
      "CREATE TRIGGER note AFTER INSERT ON heartbeat BEGIN "
      "INSERT OR IGNORE INTO written SELECT state FROM now; END");
  wait_for_writes();
  succeeds(fixture, {"backup", module});
  const auto make_new = [&] {
    ask("UPDATE now SET state = 'new'");
    wait_for_writes();
  };
  make_new();
  const auto state = [&] {
    wait_for_writes();
    CHECK(ask("PRAGMA integrity_check") == "ok");
    return which(ask("SELECT state FROM now UNION ALL SELECT state FROM written ORDER BY state"),
                 "old\nold", "new\nnew\nold");
  };
  check_killed_at_its_steps(fixture, {module, state, make_new}, "/archive?");
}

TEST_CASE("restore of Redis with an append-only file, killed: the keys of one state") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.options = {"--restart", "always", "--volume", fixture.volume("cache") + ":/data"};
  setup.arguments = {"--appendonly", "yes"};
  const RedisServer server(fixture, "redis", setup);
  const Parked parked(server.container());
  server.seed();
  const std::string old_state = server.digest();
  succeeds(fixture, {"backup", server.container()});
  const auto make_new = [&] {
    server.ask({"FLUSHALL"});
    server.ask({"SET", "later", "1"});
  };
  make_new();
  const std::string new_state = server.digest();
  const auto state = [&] {
    server.wait_until_ready();
    server.ask({"SET", "written now", "1"});
    server.ask({"DEL", "written now"});
    return which(server.digest(), old_state, new_state);
  };
  check_killed_at_its_steps(fixture, {server.container(), state, make_new}, "/archive?");
}

TEST_CASE("restore of PostgreSQL, killed: the databases of one state, and it takes writes") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string module =
      fixture.start("postgres",
                    {"--restart", "always", "--env", "POSTGRES_PASSWORD=s3cret", "--volume",
                     fixture.volume("cluster") + ":/var/lib/postgresql/data"},
                    "bba-fixture/postgres:15");
  const Parked parked(module);
  const auto wait_until_ready = [&] {
    // Over TCP: while it makes a cluster, the image's server listens on its socket only.
    wait_until("a server", 60s, [&] {
      return run({"docker", "-H", host(), "exec", module, "pg_isready", "-q", "-h", "127.0.0.1"})
                 .exit_code == 0;
    });
  };
  const auto ask = [&](const std::string& sql) {
    docker({"exec", module, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-c", sql});
  };
  // All that it has, but for the key that each dump makes anew.
  const auto dump = [&] {
    return shell(module, "pg_dumpall -U postgres | grep -v '^.\\(un\\)\\?restrict '");
  };
  wait_until_ready();
  ask("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
  ask("CREATE ROLE reader LOGIN");
  const std::string old_state = dump();
  succeeds(fixture, {"backup", module});
  const auto make_new = [&] {
    ask("DELETE FROM t WHERE n > 10");
    ask("DROP ROLE reader");
    ask("CREATE TABLE newer AS SELECT 1 AS one");
  };
  make_new();
  const std::string new_state = dump();
  const auto state = [&] {
    wait_until_ready();
    ask("CREATE TABLE written_now AS SELECT 1 AS one");
    ask("DROP TABLE written_now");
    return which(dump(), old_state, new_state);
  };
  // The dump is fed to psql.
  check_killed_at_its_steps(fixture, {module, state, make_new}, "Upgrade: tcp");
}

}  // namespace e2e
