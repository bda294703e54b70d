// The platform's own files, as fixtures/platform has them, and real containers.
#include <algorithm>
#include <filesystem>

#include "e2e/support.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";

// The files of fixtures/platform as the platform root. Only the configuration assigns containers to
// its modules, as other containers on this engine may have the modules' names.
class Platform {
 public:
  explicit Platform(E2eFixture& fixture) : fixture_(fixture) {
    const std::string source = std::string(BBA_SOURCE_DIR) + "/fixtures/platform";
    for (const char* each : {"modules", "compose"}) {
      fs::copy(source + "/" + each, fixture.path(each), fs::copy_options::recursive);
    }
  }

  std::string start(const std::string& module) {
    const std::string container =
        fixture_.start(module, {"--volume", fixture_.volume(module) + ":/data"}, image);
    containers_[module] = container;
    return container;
  }

  Ended bba(Strings arguments) const {
    std::string text = "modules:\n";
    for (const auto& [module, container] : containers_) {
      text += fmt::format("  {}: {{container: {}}}\n", module, container);
    }
    write_file(fixture_.path("config.yaml"), text);
    arguments.insert(arguments.end(), {"--config", fixture_.path("config.yaml")});
    return fixture_.bba(arguments);
  }

  Json json(Strings arguments) const {
    arguments.emplace_back("--json");
    const Ended ended = bba(arguments);
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    return parse_json(ended.out).value();
  }

 private:
  E2eFixture& fixture_;
  std::map<std::string, std::string> containers_;
};

Json row_of(const Json& audit, const std::string& module) {
  for (const Json& row : audit.at("modules")) {
    if (row.at("module") == module) return row;
  }
  FAIL("no row for ", module);
  return {};
}

}  // namespace

TEST_CASE("minio-init is sidecar-bound, so minio is backed up in its place") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Platform platform(fixture);
  const std::string minio = platform.start("minio");
  const Json plan = platform.json({"plan", "minio-init"});
  CHECK(plan.at("module") == "minio");
  CHECK(plan.at("container").at("name") == minio);
  CHECK(plan.at("container").at("found_by") == "configuration modules.minio.container");
  const Ended ended = platform.bba({"backup", "minio-init"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 11);  // without MINIO_MC_ALIAS, its files
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("module") == "minio");
  CHECK(manifest.at("class") == "D");
  CHECK(manifest.at("members").empty());
}

TEST_CASE("a module of another host: a warning in the plan, and in the manifest") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Platform platform(fixture);
  const std::string kuma = platform.start("uptime-kuma");
  const Json plan = platform.json({"plan", "uptime-kuma"});
  REQUIRE(plan.at("warnings").size() == 1);
  const auto warning = plan.at("warnings")[0].get<std::string>();
  CHECK(has(warning, "module.yaml says that uptime-kuma lives on core-1, and this is "));
  const EventLog log({kuma});
  const Ended ended = platform.bba({"backup", "uptime-kuma"});
  CHECK(ended.exit_code == 0);
  CHECK(has(ended.err, warning));
  CHECK(fixture.manifest().at("warnings")[0] == warning);
  // The engine received the requests that the plan showed.
  CHECK(plan.at("requests") == Json{fmt::format("POST /containers/{}/pause", kuma),
                                    fmt::format("GET /containers/{}/archive?path=%2Fdata", kuma),
                                    fmt::format("POST /containers/{}/unpause", kuma)});
  CHECK(log.events() == Strings{"pause " + kuma, "archive-path " + kuma, "unpause " + kuma});
}

TEST_CASE("one broken stack: a warning with its place for modules that do not need it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Platform platform(fixture);
  const std::string broken = fixture.path("compose/core/compose.yaml");
  write_file(broken, "services:\n  db:\n    volumes: {a: 1}\n");
  const std::string there = fixture.start("other", {"--volume", "/data"}, image);
  const Ended ended = fixture.bba({"plan", there});
  CHECK(ended.exit_code == 0);
  CHECK(has(ended.out, broken + ":3:"));
  const std::string gone = fixture.name("gone");
  const Ended none = fixture.bba({"plan", gone});
  CHECK(none.exit_code == 4);
  CHECK(has(none.err, "hint: repair this, as it may name the container: " + broken + ":3:"));
}

TEST_CASE("audit: the platform's modules, with the containers that are there") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Platform platform(fixture);
  const std::string kuma = platform.start("uptime-kuma");
  const std::string vault = platform.start("vault");
  docker({"stop", "--time", "0", vault});
  const std::string lost = fixture.start("lost", {"--volume", "/data"}, image);

  const Json before = platform.json({"audit"});
  CHECK(before.at("modules").size() == 46);
  const Json row = row_of(before, "uptime-kuma");
  CHECK(row.at("class") == "E");
  CHECK(row.at("container") == kuma);
  CHECK(row.at("state") == "running");
  CHECK(row.at("data")[0].at("path") == "/data");
  CHECK(row.at("last_backup").is_null());
  CHECK(row_of(before, "vault").at("class") == "C");
  CHECK(row_of(before, "vault").at("state") == "exited");
  const Json& findings = before.at("findings");
  CHECK(std::any_of(findings.begin(), findings.end(), [&](const Json& one) {
    return one.at("kind") == "unowned" && one.at("subject") == lost;
  }));

  REQUIRE(platform.bba({"backup", "uptime-kuma"}).exit_code == 0);
  const Json last = row_of(platform.json({"audit"}), "uptime-kuma").at("last_backup");
  CHECK(last.at("time") == fixture.manifest().at("started"));
  CHECK(last.at("missing").empty());

  const Ended markdown = platform.bba({"audit", "--format", "markdown"});
  CHECK(markdown.exit_code == 0);
  CHECK(has(markdown.out, "| uptime-kuma | E | " + kuma + " |"));
  // It only read.
  CHECK(life_of(kuma).starts_with("running"));
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("a module id that is a path, empty or has .. is refused by every command") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  fs::create_directory(fixture.backups());
  fs::permissions(fixture.backups(), fs::perms::owner_all);
  for (const std::string id : {"", "..", "../x", "a/b", "/etc", "a..b"}) {
    CAPTURE(id);
    for (const Strings& command :
         {Strings{"backup", id}, Strings{"plan", id}, Strings{"gate", id}, Strings{"list", id},
          Strings{"prune", id, "--keep-last", "1"}, Strings{"verify", id}}) {
      CAPTURE(command[0]);
      const Ended ended = fixture.bba(command);
      // `list` and `prune` take "" for all of them; `verify` takes a path.
      const bool all = id.empty() && (command[0] == "list" || command[0] == "prune");
      CHECK((all ? ended.exit_code == 0 : ended.exit_code != 0));
      if (!all && command[0] != "verify") CHECK((ended.exit_code == 2 || ended.exit_code == 3));
      CHECK(ended.exit_code != 1);
      CHECK(ended.exit_code >= 0);
    }
  }
  CHECK(names_in(fixture.backups()) == Strings{});
}
