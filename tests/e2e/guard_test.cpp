// The guard: what it inherits, unreadable journals, and a new run that starts while it works.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/file.h>

#include "e2e/postgres.hpp"
#include "e2e/relay.hpp"
#include "e2e/slow.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/files:1";

}  // namespace

TEST_CASE("a journal that cannot be read stops neither the guard nor a backup") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  Process run = slow.half_way(fixture.command({"backup", slow.container()}));
  const std::string damaged = fixture.state() + "/1-1.journal";
  std::filesystem::create_directory(damaged);
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
  wait_until("the container runs again", 2s, [&] { return !paused(slow.container()); });
  fixture.wait_for_guard_to_end();
  CHECK(life_of(slow.container()) == slow.life());
  CHECK(fixture.journals() == Strings{"1-1.journal"});

  const Ended recovered = fixture.bba({"recover"});
  CHECK(recovered.exit_code == 11);
  CHECK(has(recovered.err, damaged + ": Is a directory"));
  const std::string volume = fixture.volume("other");
  const std::string other = fixture.start("other", {"--volume", volume + ":/data"}, image);
  const Ended backup = fixture.bba({"backup", other});
  INFO(backup.err);
  CHECK(backup.exit_code == 11);
  CHECK(has(backup.err, damaged + ": Is a directory"));
  CHECK(has(backup.out, fixture.backups() + "/" + other));
  CHECK(fixture.manifest().at("consistency").at("mode") == "pause");
}

TEST_CASE("the guard does not keep open what the run inherited, such as a wrapper's lock") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  const std::string path = fixture.path("wrapper.lock");
  // Without O_CLOEXEC, as `flock -n 9` in a shell.
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
  REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
  Process run = slow.half_way(fixture.command({"backup", slow.container()}));
  lock.reset();
  const auto guard = fixture.guard();
  REQUIRE(guard);
  const auto holds = [&](pid_t pid) {
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry.path(), gone) == path) return true;
    }
    return false;
  };
  CHECK(holds(run.pid()));
  CHECK_FALSE(holds(*guard));
  run.signal(SIGTERM);
  CHECK(run.wait().exit_code == 143);
  fixture.wait_for_guard_to_end();
}

TEST_CASE("E, the engine dies while an archive is read: exit 6, and the guard waits for it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  std::optional<Relay> engine(std::in_place, fixture);
  Process run = slow.half_way(engine->command({"backup", slow.container()}));
  engine.reset();
  const Ended ended = run.wait(30s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, slow.container() + " could not be unpaused: "));
  CHECK(names_in(fixture.backups()) == Strings{});
  CHECK(fixture.journals().size() == 1);
  CHECK(paused(slow.container()));
  REQUIRE(fixture.guard());
  engine.emplace(fixture);
  wait_until("the container runs again", 10s, [&] { return !paused(slow.container()); });
  fixture.wait_for_guard_to_end();
  CHECK(life_of(slow.container()) == slow.life());
  fixture.check_nothing_left();
}

TEST_CASE("A, the engine dies while a dump is read: exit 6, and the guard waits for it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  std::optional<Relay> engine(std::in_place, fixture);
  Process run(engine->command({"backup", server.container()}));
  dump.wait_until_half_way(run);
  engine.reset();
  const Ended ended = run.wait(30s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "pg_dumpall in " + server.container() + " may still run"));
  CHECK(names_in(fixture.backups()) == Strings{});
  CHECK(fixture.journals().size() == 1);
  CHECK(dump_runs_in(server.container()));
  REQUIRE(fixture.guard());
  engine.emplace(fixture);
  wait_until("the program inside has ended", 10s,
             [&] { return !dump_runs_in(server.container()); });
  fixture.wait_for_guard_to_end();
  server.check_not_disturbed();
  fixture.check_nothing_left();
}

TEST_CASE("E, a backup right after a killed one does not take its pause for the operator's") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  const std::string& kuma = slow.container();
  Process killed = slow.half_way(fixture.command({"backup", kuma}));
  killed.signal(SIGKILL);
  // Its guard is cleaning up, or about to: the new run either waits for it or does the cleanup.
  const Ended again = fixture.bba({"backup", kuma});
  INFO(again.err);
  CHECK(killed.wait().exit_code == -SIGKILL);
  REQUIRE(again.exit_code == 0);
  const Json consistency = fixture.manifest().at("consistency");
  CHECK(consistency.at("mode") == "pause");
  REQUIRE(consistency.at("paused").size() == 1);
  CHECK(consistency.at("paused")[0].at("name") == kuma);
  CHECK(life_of(kuma) == slow.life());
  fixture.wait_for_guard_to_end();
  CHECK(fixture.journals() == Strings{});
}
