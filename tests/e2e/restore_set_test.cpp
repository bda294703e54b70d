// Restores of sets that belong together: all of them or none, in the order in which the services
// depend on each other.
#include <algorithm>
#include <filesystem>

#include "e2e/restore_support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

// A service of a set, with files in a volume.
struct Part {
  Part(E2eFixture& fixture, const std::string& what, const Strings& options,
       const Strings& command = forever)
      : volume(fixture.volume("data")),
        id(fixture.start(what, with_volume(options), files_image, command)) {
    fs::create_directories(fixture.path("modules/" + id));
    write_file(fixture.path("modules/" + id + "/module.yaml"),
               "spec: {runtime: {statefulness: stateful}}\n");
    shell(id, "echo old >/data/state");
  }
  Strings with_volume(Strings options) const {
    options.insert(options.end(), {"--volume", volume + ":/data"});
    return options;
  }
  std::string state() const { return shell(id, "cat /data/state"); }
  void make_new() const { shell(id, "echo new >/data/state"); }

  std::string volume;
  std::string id;
};

// A module that is backed up through two others, of which the first needs the second.
struct SidecarFixture {
  explicit SidecarFixture(const Strings& web_command = forever)
      : db(fixture, "db", {"--label", "com.docker.compose.service=db"}),
        web(fixture, "web",
            {"--label", "com.docker.compose.service=web", "--label",
             "com.docker.compose.depends_on=db:service_started:false"},
            web_command),
        init(fixture.name("init")),
        parked(web.id) {
    fs::create_directories(fixture.path("modules/" + init));
    write_file(
        fixture.path("modules/" + init + "/module.yaml"),
        "spec:\n  runtime: {statefulness: sidecar-bound}\n  release: {backup_ref_modules: [" +
            web.id + ", " + db.id + "]}\n");
    write_file(fixture.path("config.yaml"), "modules:\n  " + web.id + ": {container: " + web.id +
                                                "}\n  " + db.id + ": {container: " + db.id + "}\n");
    succeeds(fixture, arguments({"backup", init}));
    db.make_new();
    web.make_new();
  }
  Strings arguments(Strings command) const {
    command.insert(command.end(), {"--config", fixture.path("config.yaml")});
    return command;
  }

  E2eFixture fixture;
  Part db, web;
  std::string init;
  Parked parked;
};

}  // namespace

TEST_CASE("restore, sets that belong together: both come back in one step, and go with undo") {
  NEEDS_ENGINE();
  const SidecarFixture sidecar;
  const EventLog log({sidecar.db.id, sidecar.web.id});
  const Ended plan =
      succeeds(sidecar.fixture, sidecar.arguments({"restore", sidecar.init, "--dry-run"}));
  CHECK(has(plan.out, sidecar.db.id + ": stopped, and started again"));
  CHECK(has(plan.out, sidecar.web.id + ": stopped, and started again"));
  const Ended done =
      succeeds(sidecar.fixture, sidecar.arguments({"restore", sidecar.init, "--yes"}));
  CHECK(sidecar.db.state() == "old");
  CHECK(sidecar.web.state() == "old");
  CHECK(sidecar.parked.volumes().size() == 2);
  // The one that the other needs first, and all were stopped before.
  const Strings events = log.events();
  const auto at = [&](const std::string& event) {
    return std::find(events.begin(), events.end(), event) - events.begin();
  };
  CHECK(at("start " + sidecar.db.id) < at("start " + sidecar.web.id));
  CHECK(at("stop " + sidecar.web.id) < at("start " + sidecar.db.id));
  CHECK(at("start " + sidecar.web.id) < static_cast<std::ptrdiff_t>(events.size()));

  succeeds(sidecar.fixture, sidecar.arguments({"restore", sidecar.init, "--undo", "--yes"}));
  CHECK(sidecar.db.state() == "new");
  CHECK(sidecar.web.state() == "new");
  succeeds(sidecar.fixture, sidecar.arguments({"prune", "--parked"}));
  CHECK(sidecar.parked.volumes() == Strings{});
}

TEST_CASE("restore, one of several does not stay up: none of them is restored") {
  NEEDS_ENGINE();
  // Whoever finds the new state stays up.
  const SidecarFixture sidecar({"sh", "-c",
                                "[ ! -e /data/state ] || grep -q new /data/state || exit 3; "
                                "exec sleep 1000000"});
  const Ended ended = sidecar.fixture.bba(sidecar.arguments({"restore", sidecar.init, "--yes"}));
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, sidecar.web.id + " does not stay up"));
  CHECK(sidecar.db.state() == "new");
  CHECK(sidecar.web.state() == "new");
  CHECK(runs(sidecar.db.id));
  CHECK(runs(sidecar.web.id));
  succeeds(sidecar.fixture, sidecar.arguments({"prune", "--parked"}));
}

TEST_CASE("restore, one of several sets is damaged: all of them are passed over") {
  NEEDS_ENGINE();
  const SidecarFixture sidecar;
  succeeds(sidecar.fixture, sidecar.arguments({"backup", sidecar.init}));
  // Of the newest, that of the other module.
  std::string newest;
  for (const std::string& name : names_in(sidecar.fixture.backups())) {
    if (name.starts_with(sidecar.db.id) && name.ends_with(".tar.gz")) newest = name;
  }
  fs::resize_file(sidecar.fixture.backups() + "/" + newest, 30);
  const Ended done =
      succeeds(sidecar.fixture, sidecar.arguments({"restore", sidecar.web.id, "--yes"}));
  CHECK(has(done.err, "passed over"));
  CHECK(sidecar.db.state() == "old");
  CHECK(sidecar.web.state() == "old");
}

TEST_CASE("restore, several services killed between exchange and start: both as before") {
  NEEDS_ENGINE();
  const SidecarFixture sidecar;
  const std::string id = inspect(sidecar.web.id).at("Id");
  // The one is proven by then, the other is not.
  Relay relay(sidecar.fixture);
  {
    Process run = stalled(relay, sidecar.arguments({"restore", sidecar.init, "--yes"}),
                          "/containers/" + id + "/start");
    kill_with_guard(sidecar.fixture, run);
  }
  relay.hold_at("");
  const Ended recovered = sidecar.fixture.bba({"recover"});
  CAPTURE(recovered.err);
  CHECK(recovered.exit_code == 0);
  CHECK(sidecar.db.state() == "new");
  CHECK(sidecar.web.state() == "new");
  succeeds(sidecar.fixture, sidecar.arguments({"prune", "--parked"}));
}

}  // namespace e2e
