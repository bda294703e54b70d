// Runs and containers that are killed half way: nothing is left behind.
#include <csignal>
#include <filesystem>

#include "e2e/postgres.hpp"
#include "e2e/slow.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/files:1";
// Large enough that reading it takes much longer than reacting to a signal.
constexpr std::uint64_t large = 512 << 20;
// How soon the guard promises to undo everything after a SIGKILL.
constexpr auto guard_limit = 2000ms;
// The program in the container gets two seconds to end by itself before it is killed.
constexpr auto exec_limit = 6000ms;

// The container is paused, and the engine reads.
Process half_way(const E2eFixture& fixture, const SlowContainer& slow) {
  Process run = slow.half_way(fixture.command({"backup", slow.container()}));
  REQUIRE(paused(slow.container()));
  return run;
}

Process half_a_dump(const E2eFixture& fixture, const Server& server, const WaitingDump& dump,
                    const Strings& options = {}) {
  Strings arguments{"backup", server.container()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  Process run = fixture.begin(arguments);
  dump.wait_until_half_way(run);
  REQUIRE(dump_runs_in(server.container()));
  return run;
}

// Kills the run and its guard together, so that nothing is undone.
void kill_both(const E2eFixture& fixture, Process& run) {
  std::optional<pid_t> guard;
  wait_until("a guard", 10s, [&] { return (guard = fixture.guard()).has_value(); });
  REQUIRE(::kill(*guard, SIGKILL) == 0);
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
}

}  // namespace

TEST_CASE("E, SIGTERM, SIGINT and SIGHUP half way: 143, 130, 143, and nothing is left or paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  for (const auto& sent :
       {std::pair{SIGTERM, 143}, std::pair{SIGINT, 130}, std::pair{SIGHUP, 143}}) {
    CAPTURE(sent.first);
    Process run = half_way(fixture, slow);
    run.signal(sent.first);
    const Ended ended = run.wait(10s);
    INFO(ended.err);
    CHECK(ended.exit_code == sent.second);
    CHECK(ended.out.empty());
    CHECK_FALSE(paused(slow.container()));
    CHECK(life_of(slow.container()) == slow.life());
    fixture.check_nothing_left();
    fixture.wait_for_guard_to_end();
  }
}

TEST_CASE("E, SIGKILL half way: the guard unpauses within two seconds") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  Process run = half_way(fixture, slow);
  run.signal(SIGKILL);
  const auto took = wait_until("the container runs again", guard_limit,
                               [&] { return !paused(slow.container()); });
  MESSAGE("unpaused after " << took.count() << " s");
  CHECK(run.wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
  CHECK(life_of(slow.container()) == slow.life());
  fixture.check_nothing_left();
}

TEST_CASE("E, the run and its guard killed: recover unpauses, and so does the next backup") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  {
    Process run = half_way(fixture, slow);
    kill_both(fixture, run);
  }
  CHECK(paused(slow.container()));
  CHECK(fixture.journals().size() == 1);
  const Ended recovered = fixture.bba({"recover"});
  CHECK(recovered.exit_code == 0);
  CHECK(recovered.out == "paused: " + slow.container() + "\n");
  CHECK(life_of(slow.container()) == slow.life());
  fixture.check_nothing_left();

  const Ended again = fixture.bba({"recover"});
  CHECK(again.exit_code == 0);
  CHECK(again.out.empty());
  CHECK(has(again.err, "nothing to recover"));

  {
    Process run = half_way(fixture, slow);
    kill_both(fixture, run);
  }
  CHECK(paused(slow.container()));
  const std::string other_volume = fixture.volume("other");
  const std::string other = fixture.start("other", {"--volume", other_volume + ":/data"}, image);
  const Ended next = fixture.bba({"backup", other});
  CHECK(next.exit_code == 0);
  CHECK(has(next.err,
            "an earlier run was killed; put right what it left: paused: " + slow.container()));
  CHECK(life_of(slow.container()) == slow.life());
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("E, the container is killed while it is paused: the archive is complete") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture, large);
  const pid_t first = first_process_of(slow.container());
  Process run = half_way(fixture, slow);
  REQUIRE(::kill(first, SIGKILL) == 0);
  const Ended ended = run.wait();
  INFO(ended.err);
  CHECK(ended.exit_code == 0);
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("artifacts")[0].at("found").at("content_bytes") == large);
  CHECK_FALSE(paused(slow.container()));
  CHECK(fixture.journals() == Strings{});
}

namespace {

void check_signal_half_way(int signal, int exit_code) {
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  const std::string life = life_of(server.container());
  Process run = half_a_dump(fixture, server, dump);
  run.signal(signal);
  const Ended ended = run.wait(10s);
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  CHECK_FALSE(dump_runs_in(server.container()));
  CHECK(life_of(server.container()) == life);
  server.check_not_disturbed();
  fixture.check_nothing_left();
  fixture.wait_for_guard_to_end();
}

}  // namespace

TEST_CASE("A, SIGTERM half way: 143, and the program in the container has ended") {
  NEEDS_ENGINE();
  check_signal_half_way(SIGTERM, 143);
}

TEST_CASE("A, SIGINT half way: 130, and the program in the container has ended") {
  NEEDS_ENGINE();
  check_signal_half_way(SIGINT, 130);
}

TEST_CASE(
    "A, SIGTERM to a dump with child processes: the server does not take their end for a crash") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container(), WaitingDump::with_children);
  Process run = half_a_dump(fixture, server, dump);
  run.signal(SIGTERM);
  CHECK(run.wait(15s).exit_code == 143);
  CHECK_FALSE(dump_runs_in(server.container()));
  server.check_not_disturbed();
  fixture.check_nothing_left();
}

TEST_CASE(
    "A, SIGTERM ends a pg_dump that waits for a lock, and not the client that holds the lock") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const Process holder(server.exec({"psql", "-w", "-X", "-U", "postgres", "-d", "shop", "-c",
                                    "BEGIN; LOCK TABLE sales.orders; SELECT pg_sleep(60)"}));
  const auto waiting = [&](const std::string& condition) {
    return server.query("postgres", "SELECT count(*) FROM pg_stat_activity WHERE " + condition) !=
           "0\n";
  };
  wait_until("a lock", 10s, [&] { return waiting("wait_event = 'PgSleep'"); });
  Process run = fixture.begin({"backup", server.container()});
  wait_until("pg_dump waits", 20s,
             [&] { return waiting("application_name = 'pg_dump' AND wait_event_type = 'Lock'"); });
  REQUIRE(dump_runs_in(server.container()));
  run.signal(SIGTERM);
  CHECK(run.wait(10s).exit_code == 143);
  CHECK_FALSE(dump_runs_in(server.container()));
  CHECK(waiting("wait_event = 'PgSleep'"));
  CHECK_FALSE(waiting("application_name = 'pg_dump'"));
  server.check_not_disturbed();
  fixture.check_nothing_left();
  server.query(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
}

TEST_CASE("A, SIGKILL half way: the guard ends the program in the container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  const std::string life = life_of(server.container());
  Process run = half_a_dump(fixture, server, dump);
  run.signal(SIGKILL);
  const auto took = wait_until("the program inside has ended", exec_limit,
                               [&] { return !dump_runs_in(server.container()); });
  MESSAGE("ended after " << took.count() << " s");
  CHECK(run.wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
  CHECK(life_of(server.container()) == life);
  server.check_not_disturbed();
  fixture.check_nothing_left();
}

TEST_CASE("A, the run and its guard killed: recover ends the program in the container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  {
    Process run = half_a_dump(fixture, server, dump);
    kill_both(fixture, run);
  }
  CHECK(dump_runs_in(server.container()));
  const Ended recovered = fixture.bba({"recover"});
  CHECK(recovered.exit_code == 0);
  CHECK(recovered.out == "exec: pg_dumpall in " + server.container() + "\n");
  CHECK_FALSE(dump_runs_in(server.container()));
  fixture.check_nothing_left();
}

TEST_CASE("A, a time limit: exit 124, and the program in the container has ended") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  Process run = half_a_dump(fixture, server, dump, {"--timeout", "4s"});
  const Ended ended = run.wait(20s);
  INFO(ended.err);
  CHECK(ended.exit_code == 124);
  CHECK_FALSE(dump_runs_in(server.container()));
  fixture.check_nothing_left();
}

TEST_CASE(
    "A, a second run of the module during the first: exit 9, and the first is not disturbed") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  Process run = half_a_dump(fixture, server, dump);
  const Ended second = fixture.bba({"backup", server.container()});
  CHECK(second.exit_code == 9);
  CHECK(has(second.err, fmt::format("pid {}", run.pid())));
  CHECK(run.running());
  CHECK(dump_runs_in(server.container()));
  run.signal(SIGTERM);
  CHECK(run.wait(10s).exit_code == 143);
  fixture.check_nothing_left();
}

TEST_CASE("A, the container is killed half way: exit 6, and nothing is left") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const WaitingDump dump(server.container());
  Process run = half_a_dump(fixture, server, dump);
  docker({"kill", server.container()});
  const Ended ended = run.wait(60s);
  docker({"start", server.container()});
  server.wait_until_ready();
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  fixture.check_nothing_left();
}
