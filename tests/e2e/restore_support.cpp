#include "e2e/restore_support.hpp"

#include <csignal>
#include <cstdio>

namespace e2e {

const Strings forever{"sleep", "1000000"};

// --- what is parked

Parked::~Parked() {
  try {
    for (const std::string& id : containers()) docker({"rm", "--force", id});
    for (const std::string& name : volumes()) docker({"volume", "rm", name});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleaning up: %s\n", error.what());
  }
}

Strings Parked::listed(Strings command) const {
  command.insert(command.end(), {"--quiet", "--filter", "label=bba.parked=" + module_});
  const std::string text = docker(command);
  Strings names;
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) names.emplace_back(line);
  }
  return names;
}

// --- containers

std::string shell(const std::string& container, const std::string& script) {
  return docker({"exec", container, "sh", "-ec", script});
}

bool runs(const std::string& container) {
  return inspect(container).at("State").at("Running") == true;
}

std::string restart_policy(const std::string& container) {
  return string_member(inspect(container).at("HostConfig").at("RestartPolicy"), "Name").value();
}

// --- runs

Ended succeeds(const E2eFixture& fixture, const Strings& arguments, const Setting& setting) {
  const Ended ended = fixture.bba(arguments, setting);
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

Process stalled(Relay& relay, const Strings& arguments, const std::string& request) {
  relay.hold_at(request);
  Process run(relay.command(arguments));
  wait_until("the run stalls at its step", 60s, [&] {
    if (!run.running()) throw std::runtime_error("it ended before that: " + run.err());
    return relay.holds();
  });
  return run;
}

namespace {

void kill_alone(Process& run) {
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
}

}  // namespace

void kill_with_guard(const E2eFixture& fixture, Process& run) {
  const auto guard = fixture.guard();
  REQUIRE(guard);
  ::kill(*guard, SIGKILL);
  kill_alone(run);
}

void kill_restore(const E2eFixture& fixture, const std::string& module, const std::string& request,
                  bool with_guard, const std::string& outcome, const Strings& command) {
  Strings arguments = command;
  arguments.insert(arguments.end(), {module, "--yes"});
  Relay relay(fixture);
  {
    Process run = stalled(relay, arguments, request);
    if (with_guard) {
      kill_with_guard(fixture, run);
    } else {
      kill_alone(run);
    }
  }
  relay.hold_at("");
  if (with_guard) {
    CHECK(fixture.journals().size() == 1);
    const Ended recovered = fixture.bba({"recover"});
    CAPTURE(recovered.err);
    CHECK(recovered.exit_code == 0);
    CHECK(has(recovered.out, outcome));
  }
  fixture.wait_for_guard_to_end();
  CHECK(fixture.journals() == Strings{});
}

// --- a service

FileService::FileService(E2eFixture& fixture, const Strings& command, const std::string& image)
    : volume(fixture.volume("data")),
      module(fixture.start("files", {"--restart", "always", "--volume", volume + ":/data"}, image,
                           command)),
      parked(module) {
  shell(module,
        "mkdir -p /data/deep/er; echo old >/data/a; echo old >/data/deep/er/b; ln -s a /data/link; "
        "chown 33:33 /data/a; chmod 640 /data/a; touch -d @1000000000 /data/a /data/deep");
  old_state = inventory(volume_path(volume));
  succeeds(fixture, {"backup", module});
  shell(module, "echo new >/data/a; rm -r /data/deep; echo new >/data/c");
  new_state = inventory(volume_path(volume));
}

void FileService::check_as_before() const {
  CHECK(difference(new_state, now()) == "");
  CHECK(runs());
  CHECK(restart_policy(module) == "always");
}

std::string which_state(const std::string& now, const std::string& old_state,
                        const std::string& new_state) {
  return now == old_state ? "old" : now == new_state ? "new" : "neither: " + now;
}

void check_killed_at_its_steps(const E2eFixture& fixture, const std::string& module,
                               const std::string& building,
                               const std::function<std::string()>& state) {
  REQUIRE(state() == "new");
  const std::string start =
      "/containers/" + string_member(inspect(module), "Id").value() + "/start";
  struct Step {
    std::string request;
    bool proven;
    bool with_guard;
  };
  // Each takes seconds. A guard and recover do the same; all steps of both are tried with files.
  for (const Step& step : {Step{building, false, false}, Step{start, false, false},
                           Step{start, false, true}, Step{"\"Name\":\"always\"", true, true}}) {
    CAPTURE(step.request);
    CAPTURE(step.with_guard);
    kill_restore(fixture, module, step.request, step.with_guard,
                 step.proven ? "finished" : "undone");
    CHECK(runs(module));
    CHECK(state() == (step.proven ? "old" : "new"));
    CHECK(restart_policy(module) == "always");
  }
}

}  // namespace e2e
