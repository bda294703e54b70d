#include "bba/commands/plan.hpp"

#include <algorithm>
#include <filesystem>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "fake_engine.hpp"
#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;

// An engine with one container, called `kuma`, that has one volume.
struct PlanFixture {
  FakeEngine fake;
  BackupFixture backup_fixture{fake.socket_path()};

  // The volume is at `source` below the fixture's directory.
  explicit PlanFixture(const std::string& source = "volume") {
    const std::string data = backup_fixture.temp / source;
    std::filesystem::create_directories(data);
    write_file(data + "/kuma.db", std::string(5000, 'x'));
    const Json mounts = Json::array({{{"Type", "volume"},
                                      {"Name", "kuma-data"},
                                      {"Source", data},
                                      {"Destination", "/app/data"},
                                      {"RW", true}}});
    fake.on("GET /containers/json",
            {send(answer(200, dump_json(Json::array({{{"Id", "c0ffee"},
                                                      {"Names", {"/kuma"}},
                                                      {"Image", "img:1"},
                                                      {"State", "running"},
                                                      {"Mounts", mounts}}}))))});
    fake.on("GET /containers/c0ffee/json",
            {send(answer(200, dump_json(Json{{"Id", "c0ffee"},
                                             {"Name", "/kuma"},
                                             {"Image", "sha256:aaaa"},
                                             {"State", {{"Status", "running"}, {"Running", true}}},
                                             {"Config", {{"Image", "img:1"}}},
                                             {"Mounts", mounts}})))});
    fake.on("GET /info", {send(answer(200, R"({"Name":"core-1"})"))});
  }

  void file(const std::string& name, const std::string& content) {
    const std::string path = backup_fixture.temp / ("platform/" + name);
    std::filesystem::create_directories(path.substr(0, path.rfind('/')));
    write_file(path, content);
  }
  void module(const std::string& id, const std::string& runtime, const Lines& references = {}) {
    file("modules/" + id + "/module.yaml", "spec:\n  runtime: {" + runtime +
                                               "}\n  release: {backup_ref_modules: [" +
                                               join(references, ", ") + "]}\n");
  }
  service::Capture capture(const BackupRequest& request) {
    return make_capture(backup_fixture.session, request);
  }
  Lines members(const std::string& id, std::optional<char> module_class = {}) {
    BackupRequest request;
    request.module = id;
    request.module_class = module_class;
    return modules_to_back_up(backup_fixture.session, request);
  }
};

BackupRequest request_for(const std::string& module) {
  BackupRequest request;
  request.module = module;
  return request;
}

bool any_has(const Lines& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return contains(line, part); });
}

}  // namespace

TEST_CASE("a plan says where everything comes from, and changes nothing") {
  PlanFixture fixture;
  const service::Capture capture = fixture.capture(request_for("kuma"));
  const Json json = plan_json(capture, fixture.backup_fixture.session);
  CHECK(json["module"] == "kuma");
  CHECK(json["class"] == "E");
  CHECK(json["container"]["found_by"] == "the name kuma");
  CHECK(json["mounts"][0]["destination"] == "/app/data");
  CHECK(json["mounts"][0]["taken"] == true);
  CHECK(json["artifacts"][0]["expected_bytes"].get<std::uint64_t>() >= 5000);
  CHECK(json["requests"] == Json{"POST /containers/kuma/pause",
                                 "GET /containers/kuma/archive?path=%2Fapp%2Fdata",
                                 "POST /containers/kuma/unpause"});
  const std::string text = plan_text(capture, fixture.backup_fixture.session);
  for (const Json& request : json["requests"]) {
    CHECK(contains(text, "request      " + request.get<std::string>() + "\n"));
  }
  CHECK(contains(text, "kuma is paused meanwhile"));
  for (const auto& seen : fixture.fake.requests()) CHECK(seen.method == "GET");
  CHECK_FALSE(std::filesystem::exists(fixture.backup_fixture.state()));
}

TEST_CASE("a source that is reached through a link is read at the link's target") {
  PlanFixture fixture("disk/volume");
  const std::string disk = fixture.backup_fixture.temp / "disk";
  std::filesystem::rename(disk, disk + "1");
  std::filesystem::create_directory_symlink("disk1", disk);
  const service::Capture capture = fixture.capture(request_for("kuma"));
  REQUIRE(capture.parts.size() == 1);
  const auto& archive = std::get<service::PathArchive>(capture.parts[0].what);
  CHECK(archive.host_path == std::filesystem::canonical(disk + "1/volume"));
  CHECK(capture.parts[0].expected_bytes >= 5000);
}

TEST_CASE("paths replace the mounts that they do not touch") {
  PlanFixture fixture;
  BackupRequest request = request_for("kuma");
  request.paths = {"/srv/state"};
  const Json json = plan_json(fixture.capture(request), fixture.backup_fixture.session);
  CHECK(json["mounts"][0]["taken"] == false);
  CHECK(json["mounts"][0]["why"] == "paths are archived instead");
  REQUIRE(json["artifacts"].size() == 1);
  CHECK(json["artifacts"][0]["source"] == "/srv/state");
}

TEST_CASE("backups and journals inside the archived data are left out of it") {
  // The volume is the fixture's directory, with the backup directory in it.
  PlanFixture fixture("");
  write_file(fixture.backup_fixture.backups() + "/earlier.tar", std::string(100'000, 'x'));
  const service::Capture capture = fixture.capture(request_for("kuma"));
  CHECK(std::get<service::PathArchive>(capture.parts[0].what).excludes ==
        Lines{"/app/data/backups", "/app/data/state"});
  CHECK(capture.parts[0].expected_bytes < 100'000);
  CHECK(any_has(capture.warnings,
                "/app/data/backups is left out of the archive of /app/data: it is the backup "
                "directory"));
  CHECK(contains(plan_text(capture, fixture.backup_fixture.session),
                 "/app/data/backups is left out"));

  PlanFixture itself("backups");
  const service::Capture same = itself.capture(request_for("kuma"));
  CHECK(std::get<service::PathArchive>(same.parts[0].what).excludes == Lines{"/app/data/*"});
  CHECK(PlanFixture("backups/other").capture(request_for("kuma")).warnings == Lines{});

  PlanFixture project;
  conf::ModuleSettings& settings = project.backup_fixture.session.settings.config.modules["kuma"];
  settings.module_class = 'G';
  settings.compose_root = project.backup_fixture.temp / "";
  const service::Capture compose = project.capture(request_for("kuma"));
  const auto& directory = std::get<service::HostDirectory>(compose.parts.at(0).what);
  CHECK(directory.excludes == Lines{project.backup_fixture.temp / "volume",
                                    project.backup_fixture.backups(),
                                    project.backup_fixture.state()});
  CHECK(any_has(compose.warnings,
                project.backup_fixture.backups() + " is left out of the archive of host:"));
}

TEST_CASE("one broken compose stack is a warning for a module that is found without it") {
  PlanFixture fixture;
  fixture.file("compose/core/compose.yaml", "services:\n  db: [\n");
  fixture.file("compose/apps/compose.yaml", "services:\n  uptime:\n    container_name: kuma\n");
  const service::Capture found = fixture.capture(request_for("kuma"));
  REQUIRE(found.warnings.size() == 1);
  CHECK(contains(found.warnings[0], "compose/core/compose.yaml:3:1"));
  // The stack that can be read is still used.
  CHECK(fixture.capture(request_for("uptime")).target.found_by ==
        "container_name kuma in the compose files");

  const Thrown none = thrown_by([&] { fixture.capture(request_for("db")); });
  CHECK(none.kind == ErrorKind::container);
  CHECK(contains(none.hint, "compose/core/compose.yaml:3:1"));

  // A container that is named needs no file.
  BackupRequest named = request_for("db");
  named.container = "kuma";
  CHECK(fixture.capture(named).warnings == Lines{});
  fixture.backup_fixture.session.settings.config.modules["db"].container = "kuma";
  CHECK(fixture.capture(request_for("db")).warnings == Lines{});
}

TEST_CASE("a module that lives on another host is a warning") {
  PlanFixture fixture;
  fixture.module("kuma", "statefulness: stateful, host: core-2");
  const Lines warnings = fixture.capture(request_for("kuma")).warnings;
  CHECK(any_has(warnings, "module.yaml says that kuma lives on core-2, and this is core-1"));
  fixture.module("kuma", "statefulness: stateful, host: CORE-1.example.org");
  CHECK(fixture.capture(request_for("kuma")).warnings == Lines{});
}

TEST_CASE("a sidecar-bound module means the modules that hold its data") {
  PlanFixture fixture;
  fixture.module("minio", "statefulness: stateful");
  fixture.module("db", "statefulness: stateful");
  fixture.module("web", "statefulness: stateless");
  fixture.module("init", "statefulness: sidecar-bound", {"minio"});
  fixture.module("both", "statefulness: sidecar-bound", {"db", "init", "minio"});
  fixture.module("none", "statefulness: sidecar-bound");
  fixture.module("round", "statefulness: sidecar-bound", {"about"});
  fixture.module("about", "statefulness: sidecar-bound", {"round"});
  CHECK(fixture.members("minio") == Lines{"minio"});
  CHECK(fixture.members("unknown") == Lines{"unknown"});
  CHECK(fixture.members("init") == Lines{"minio"});
  CHECK(fixture.members("both") == Lines{"db", "minio"});
  // A class that is asked for overrides what the module is.
  CHECK(fixture.members("web", 'E') == Lines{"web"});
  CHECK(fixture.members("init", 'E') == Lines{"init"});

  const auto refused = [&](const std::string& id) {
    const Thrown error = thrown_by([&] { fixture.members(id); });
    CHECK(error.kind == ErrorKind::config);
    return error.message + " | " + error.hint;
  };
  CHECK(contains(refused("web"), "stateless"));
  CHECK(contains(refused("web"), "--class"));
  CHECK(contains(refused("none"), "backup_ref_modules"));
  CHECK(contains(refused("round"), "round -> about -> round"));
  for (const std::string id : {"", "..", "a/b", "/etc", "Web", "a..b"}) {
    CHECK(contains(refused(id), "is not a module id"));
  }
}

TEST_CASE("an unknown module is answered with similar names of known ones") {
  PlanFixture fixture;
  fixture.module("postgres", "statefulness: stateful");
  const Thrown error = thrown_by([&] { fixture.capture(request_for("postgers")); });
  CHECK(error.kind == ErrorKind::container);
  CHECK(error.hint == "no such module; did you mean postgres?");
}

TEST_CASE("a container that was passed over is named before modules of similar names") {
  PlanFixture fixture;
  fixture.module("postgres", "statefulness: stateful");
  fixture.fake.on(
      "GET /containers/json",
      {send(answer(200, dump_json(Json::array(
                            {{{"Id", "c0ffee"},
                              {"Names", {"/lab-ledger-postgers-1"}},
                              {"Image", "img:1"},
                              {"State", "running"},
                              {"Labels",
                               {{"com.docker.compose.project", "lab"},
                                {"com.docker.compose.service", "ledger-postgers"}}}}}))))});
  fixture.backup_fixture.session.engine.list();  // takes the answer that the fixture starts with
  const Thrown error = thrown_by([&] { fixture.capture(request_for("postgers")); });
  CHECK(error.kind == ErrorKind::container);
  CHECK(contains(error.hint,
                 "passed over, being of another compose service: lab-ledger-postgers-1 "
                 "(ledger-postgers); if"));
}

TEST_CASE("one container is not backed up under the names of several modules") {
  PlanFixture fixture;
  fixture.module("app", "statefulness: sidecar-bound", {"db", "cache"});
  fixture.module("app2", "statefulness: sidecar-bound", {"db"});
  for (const std::string id : {"db", "cache"}) fixture.module(id, "statefulness: stateful");
  const auto refused = [&](const BackupRequest& request) {
    return thrown_by([&] { modules_to_back_up(fixture.backup_fixture.session, request); });
  };
  BackupRequest request = request_for("app");
  CHECK_FALSE(refused(request).kind.has_value());
  request.container = "kuma";
  CHECK(refused(request).kind == ErrorKind::usage);
  CHECK(contains(refused(request).message, "app is backed up with db, cache"));
  request.container.reset();
  request.paths = {"/data"};
  CHECK(refused(request).kind == ErrorKind::usage);
  request.module = "app2";
  CHECK_FALSE(refused(request).kind.has_value());
}

}  // namespace bba::commands
