// Restores of files that are killed, alone or with their guard, at their steps: afterwards the
// service runs, and has what it had before or what was restored, never a part of each.
#include <filesystem>
#include <optional>
#include <utility>

#include "e2e/restore_support.hpp"

namespace e2e {

namespace fs = std::filesystem;

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
                   step.proven ? "finished" : "undone");
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
  shell(module,
        "echo new >/data/a; rm -r /data/d; echo new >/data/c; touch -d @1000000000 "
        "/data/a /data/c /data");
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
  check_killed_at_its_steps(fixture, module, "/archive?", state);
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
  ask("UPDATE now SET state = 'new'");
  wait_for_writes();
  long most_rows = 0;
  const auto state = [&] {
    wait_for_writes();
    CHECK(ask("PRAGMA integrity_check") == "ok");
    const std::string now =
        which_state(ask("SELECT state FROM now UNION ALL SELECT state FROM written ORDER BY state"),
                    "old\nold", "new\nnew\nold");
    // What it had, and what was written since.
    if (now == "new") CHECK(rows() > std::exchange(most_rows, rows()));
    return now;
  };
  check_killed_at_its_steps(fixture, module, "/archive?", state);
}

}  // namespace e2e
