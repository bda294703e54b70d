// What --consistency stop and live do to a container, and what a run that ends half way leaves of
// it.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "e2e/slow.hpp"

using namespace e2e;

namespace {

// It ends at SIGTERM only after the second that is its grace: the engine's stop takes a while.
const Strings one_second_of_grace{"--stop-timeout", "1", "--restart", "unless-stopped"};

std::string status_of(const std::string& container) {
  return docker({"ps", "--all", "--filter", "name=^/" + container + "$", "--format", "{{.State}}"});
}

}  // namespace

TEST_CASE(
    "stop: the container is stopped while it is read, and started again before the run ends") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture, 64 << 20, one_second_of_grace);
  const EventLog log({slow.container()});
  const Ended ended = fixture.bba({"backup", slow.container(), "--consistency", "stop"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  Strings events;
  for (const std::string& event : log.events()) {
    const std::string action = event.substr(0, event.find(' '));
    if (action == "stop" || action == "start" || action == "archive-path") events.push_back(action);
  }
  CHECK(events == Strings{"stop", "archive-path", "start"});
  CHECK(status_of(slow.container()) == "running");
  const Json consistency = fixture.manifest().at("consistency");
  CHECK(consistency.at("mode") == "stop");
  REQUIRE(consistency.at("paused").size() == 1);
  CHECK(consistency.at("paused")[0].at("name") == slow.container());
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("stop, SIGTERM and SIGKILL half way: the container is started again") {
  NEEDS_ENGINE();
  for (const auto& sent : {std::pair{SIGTERM, 143}, std::pair{SIGKILL, -SIGKILL}}) {
    CAPTURE(sent.first);
    E2eFixture fixture;
    const SlowContainer slow(fixture, 512 << 20, one_second_of_grace);
    Process run =
        slow.half_way(fixture.command({"backup", slow.container(), "--consistency", "stop"}));
    REQUIRE(status_of(slow.container()) == "exited");
    run.signal(sent.first);
    const Ended ended = run.wait(30s);
    INFO(ended.err);
    CHECK(ended.exit_code == sent.second);
    wait_until("the container runs again", 30s,
               [&] { return status_of(slow.container()) == "running"; });
    fixture.wait_for_guard_to_end();
    CHECK(status_of(slow.container()) == "running");
    fixture.check_nothing_left();
  }
}

TEST_CASE("stop, SIGKILL while the engine is still stopping the container: it is started again") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // Its program ignores SIGTERM, so that the stop takes all of its grace.
  const std::string container = fixture.start(
      "stubborn", {"--volume", fixture.volume("data") + ":/data", "--stop-timeout", "3"},
      "bba-fixture/files:1", {"sh", "-c", "trap '' TERM; sleep 1000 & wait"});
  const std::string first_start =
      docker({"inspect", "--format", "{{.State.StartedAt}}", container});
  const EventLog log({container});
  Process run = fixture.begin({"backup", container, "--consistency", "stop"});
  // The engine has sent its SIGTERM.
  wait_until("the stop is under way", 30s, [&] {
    const Strings events = log.events();
    return std::find(events.begin(), events.end(), "kill " + container) != events.end();
  });
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
  CHECK(status_of(container) == "running");
  // Either it was stopped and started again, or it never stopped: both are accepted.
  MESSAGE("started again: " << (docker({"inspect", "--format", "{{.State.StartedAt}}",
                                        container}) != first_start));
  fixture.check_nothing_left();
}

TEST_CASE("live: no container is paused, and files that change while they are read are counted") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const SlowContainer slow(fixture);
  const std::string later = std::filesystem::path(slow.file()).parent_path() / "later.txt";
  write_file(later, "as it was");
  const EventLog log({slow.container()});
  Process run =
      slow.half_way(fixture.command({"backup", slow.container(), "--consistency", "live"}));
  run.signal(SIGSTOP);
  CHECK(status_of(slow.container()) == "running");
  write_file(later, "and it has grown since it was listed");
  run.signal(SIGCONT);
  const Ended ended = run.wait();
  INFO(ended.err);
  CHECK(ended.exit_code == 0);
  CHECK(log.events() == Strings{"archive-path " + slow.container()});
  CHECK(life_of(slow.container()) == slow.life());
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("consistency").at("mode") == "live");
  CHECK(manifest.at("consistency").at("paused").empty());
  CHECK(manifest.at("artifacts")[0].at("found").at("changed_while_read") >= 1);
  // The gate does not accept it as a complete one.
  const Ended closed = fixture.bba({"gate", slow.container()});
  CHECK(closed.exit_code == 10);
  CHECK(has(closed.err, "changed while "));
  CHECK(has(closed.err, "hint: backup-before-apply backup " + slow.container() +
                            " --consistency pause; or allow it with --accept-fallback"));
  CHECK(fixture.bba({"gate", slow.container(), "--accept-fallback"}).exit_code == 0);
}

TEST_CASE(
    "an earlier run's container that cannot be resumed: the backup is good, and exits with 11") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container =
      fixture.start("kuma", {"--volume", fixture.volume("data") + ":/data"}, "bba-fixture/files:1");
  std::filesystem::create_directory(fixture.state());
  std::filesystem::permissions(fixture.state(), std::filesystem::perms::owner_all);
  // The journal of a process that has ended, for an engine that is not there.
  const std::string journal = fixture.state() + "/4194304-1.journal";
  write_file(journal,
             "{\"host\":\"unix:///nowhere/docker.sock\"}\n"
             "{\"owe\":\"paused\",\"id\":\"c0ffee\",\"name\":\"lost\"}\n");
  for (const Strings& command : {Strings{"backup", container}, Strings{"recover"}}) {
    CAPTURE(command[0]);
    const Ended ended = fixture.bba(command);
    INFO(ended.err);
    CHECK(ended.exit_code == 11);
    CHECK(has(ended.err, "lost"));
    CHECK(fixture.journals() == Strings{"4194304-1.journal"});
  }
  CHECK(fixture.bba({"verify", container}).exit_code == 0);
}
