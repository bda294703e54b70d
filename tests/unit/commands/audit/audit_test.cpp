// The audit of fixtures/platform with a made-up engine: the report is a function of its facts.
#include "bba/commands/audit/audit.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/commands/audit/audit_text.hpp"
#include "bba/conf/platform.hpp"
#include "unit/containers.hpp"

using namespace bba;
using namespace bba::commands;

namespace {

const std::string root = BBA_SOURCE_DIR "/fixtures/platform";
const Timestamp noon = *parse_rfc3339("2026-11-23T12:00:00Z");

// One container for each compose service, with the volumes that its file says, and agaria's two.
std::vector<wire::ContainerSummary> containers_of(const conf::Platform& platform) {
  std::vector<wire::ContainerSummary> all;
  for (const conf::ComposeService& service : platform.compose.services) {
    auto one = test::compose_container(service.stack, service.name, service.container_name);
    one.image = service.image;
    for (const conf::ComposeVolume& each : service.volumes) {
      wire::Mount mount = each.type == "bind" ? test::bind_mount(each.source, each.target)
                                              : test::volume(each.source, each.target);
      mount.type = each.type;
      mount.rw = !each.read_only;
      one.mounts.push_back(mount);
    }
    all.push_back(std::move(one));
  }
  for (const std::string name : {"agaria-postgres", "agaria-redis"}) {
    auto one = test::compose_container("agaria", "its-own", name + "-1");
    one.mounts = {test::volume(name, "/data")};
    all.push_back(std::move(one));
  }
  return all;
}

void drop(std::vector<wire::ContainerSummary>& all, const std::string& name) {
  const auto removed =
      std::erase_if(all, [&](const auto& one) { return one.names.front() == name; });
  REQUIRE_MESSAGE(removed == 1, name);
}

wire::ContainerSummary& named(std::vector<wire::ContainerSummary>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const auto& one) { return one.names.front() == name; });
  REQUIRE_MESSAGE(found != all.end(), name);
  return *found;
}

AuditFacts facts_of_fixture() {
  AuditFacts facts;
  facts.platform = conf::load_platform(root);
  for (const std::string& id : conf::module_ids(root)) {
    facts.runbook_names[id] = conf::runbook_containers(root, id);
  }
  facts.host = "core-1.example.org";
  facts.time = noon;
  facts.containers = containers_of(facts.platform);
  // Their services have other names than the modules, so only the configuration can name them.
  for (const std::string name : {"git-mirror", "hermes-agency"}) {
    facts.config.modules[name].container = name;
  }
  for (const std::string name : {"agaria-postgres", "agaria-redis"}) {
    facts.config.modules[name].container = name + "-1";
  }
  facts.backups.emplace();
  facts.inspect = [](const std::string&) { return wire::Container{}; };
  facts.source_kind = [](const std::string&) { return tree::SourceKind::directory; };
  facts.measure = [](const tree::ArchiveRules&) { return tree::MeasureResult{5 << 20, true}; };
  return facts;
}

// A platform of one module, in a container of its own name that has one volume.
AuditFacts facts_of_one(const std::string& module, const std::string& image = "example/app:1") {
  AuditFacts facts;
  facts.platform.root = "/platform";
  facts.platform.modules[module] = {module, conf::Statefulness::stateful, "core-1", image, {}};
  facts.host = "core-1";
  facts.time = noon;
  auto container = test::container(module, "running", {test::volume(module + "-data", "/data")});
  container.image = image;
  facts.containers = std::vector{container};
  facts.backups.emplace();
  facts.inspect = [](const std::string&) { return wire::Container{}; };
  facts.source_kind = [](const std::string&) { return tree::SourceKind::directory; };
  facts.measure = [](const tree::ArchiveRules&) { return tree::MeasureResult{1 << 20, true}; };
  return facts;
}

const AuditRow& row(const AuditReport& report, const std::string& module) {
  const auto found = std::find_if(report.rows.begin(), report.rows.end(),
                                  [&](const AuditRow& one) { return one.module == module; });
  REQUIRE_MESSAGE(found != report.rows.end(), module);
  return *found;
}

bool has_note(const AuditRow& row, const std::string& note) {
  return std::find(row.notes.begin(), row.notes.end(), note) != row.notes.end();
}

std::vector<std::string> found(const AuditReport& report, const std::string& kind) {
  std::vector<std::string> subjects;
  for (const Finding& one : report.findings) {
    if (one.kind == kind) subjects.push_back(one.subject);
  }
  return subjects;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) lines.emplace_back(line);
  return lines;
}

bool has_line(const std::string& text, const std::string& pattern) {
  const auto lines = lines_of(text);
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return glob_match(pattern, line); });
}

}  // namespace

TEST_CASE("audit: every stateful module of the fixture is listed by class, with its container") {
  const AuditReport report = audit_report(facts_of_fixture());
  CHECK(report.rows.size() == 46);
  CHECK(std::is_sorted(report.rows.begin(), report.rows.end(), [](const auto& a, const auto& b) {
    return std::tie(a.module_class, a.module) < std::tie(b.module_class, b.module);
  }));
  std::map<char, std::vector<std::string>> classes;
  for (const AuditRow& one : report.rows) classes[one.module_class].push_back(one.module);
  CHECK(join(classes['A'], " ") ==
        "agent-plane-shadow-postgres honcho-postgres immich-postgres postgres");
  CHECK(join(classes['B'], " ") == "honcho-redis infisical-redis redis");
  CHECK(join(classes['C'], " ") == "vault");
  CHECK(join(classes['D'], " ") == "minio minio-init");
  CHECK(join(classes['F'], " ") == "karakeep-meilisearch searxng");
  CHECK(join(classes['G'], " ") == "agaria-postgres agaria-redis");
  CHECK(classes['E'].size() == 32);

  CHECK(row(report, "postgres").container == "platform-postgres");
  CHECK(row(report, "postgres").ready == Ready::yes);
  CHECK(row(report, "postgres").stack == "core");
  CHECK(row(report, "agaria-postgres").container == "agaria-postgres-1");
  CHECK(row(report, "agaria-postgres").found_by ==
        "configuration modules.agaria-postgres.container");
  CHECK(row(report, "git-mirror").container == "git-mirror");
  for (const AuditRow& one : report.rows) {
    CAPTURE(one.module);
    if (one.module != "home-assistant") CHECK(one.container != "");
    CHECK(one.rule != "");
    CHECK_FALSE(one.last_backup.has_value());
    CHECK(has_note(one, "never backed up"));
  }
}

TEST_CASE("audit: services of the same name in two projects are reported, and neither is chosen") {
  AuditFacts facts = facts_of_fixture();
  CHECK(found(audit_report(facts), "ambiguous").empty());
  named(*facts.containers, "agaria-postgres-1").labels["com.docker.compose.service"] = "postgres";
  const AuditReport report = audit_report(facts);
  CHECK(found(report, "ambiguous") == std::vector<std::string>{"postgres"});
  CHECK(row(report, "postgres").container == "");
  CHECK(row(report, "agaria-postgres").container == "agaria-postgres-1");
}

TEST_CASE("audit: a container of another service is not found by name, and no module owns it") {
  AuditFacts facts = facts_of_fixture();
  facts.config.modules.clear();
  const AuditReport report = audit_report(facts);
  CHECK(found(report, "no-container") ==
        std::vector<std::string>{"agaria-postgres", "agaria-redis", "git-mirror", "hermes-agency"});
  CHECK(found(report, "unowned") == std::vector<std::string>{"agaria-postgres-1", "agaria-redis-1",
                                                             "git-mirror", "hermes-agency"});
  CHECK(row(report, "git-mirror").ready == Ready::no);
  for (const Finding& one : report.findings) {
    if (one.kind != "no-container" || one.subject != "git-mirror") continue;
    CHECK(one.hint.starts_with(
        "passed over, being of another compose service: git-mirror (mirror); if"));
    CHECK(one.hint.find("modules.git-mirror.container") != std::string::npos);
  }
  // The files alone do not make it the module's container either.
  facts.containers.reset();
  CHECK(row(audit_report(facts), "git-mirror").data.empty());
}

TEST_CASE("audit: <project>-<id>-N is matched where the compose files name the project") {
  AuditFacts facts = facts_of_one("app");
  facts.containers->front().names = {"lab-ledger-app-1"};
  facts.platform.compose.projects = {"lab"};
  CHECK(found(audit_report(facts), "no-container") == std::vector<std::string>{"app"});
  CHECK(found(audit_report(facts), "unowned") == std::vector<std::string>{"lab-ledger-app-1"});
  facts.platform.compose.projects = {"lab-ledger"};
  CHECK(row(audit_report(facts), "app").container == "lab-ledger-app-1");
  CHECK(found(audit_report(facts), "unowned").empty());
}

TEST_CASE("audit: a module of another host is not a finding, and owns no container of this host") {
  const AuditReport report = audit_report(facts_of_fixture());
  const AuditRow& away = row(report, "home-assistant");
  CHECK(away.ready == Ready::no);
  CHECK(has_note(away, "lives on host home-1, not on this one"));
  CHECK(found(report, "no-container").empty());
  CHECK(report.remarks.empty());
}

TEST_CASE("audit: where no module is on this host, the modules' hosts are reported once") {
  AuditFacts facts = facts_of_fixture();
  facts.host = "laptop";
  const AuditReport report = audit_report(facts);
  REQUIRE(report.remarks.size() == 1);
  CHECK(report.remarks.front() ==
        "no module.yaml says that it lives on this host, laptop: they say core-1 (87), home-1 (1)");
  CHECK(found(report, "no-container") == std::vector<std::string>{"home-assistant"});
}

TEST_CASE("audit: missing, ambiguous and unowned containers are findings") {
  AuditFacts facts = facts_of_fixture();
  auto& all = *facts.containers;
  drop(all, "git-forgejo");
  auto second = named(all, "grafana");
  second.id = "id-of-grafana-2";
  second.names = {"grafana-2"};
  all.push_back(second);
  all.push_back(test::container("wiki-old", "running", {test::volume("wiki", "/wiki")}));
  all.push_back(test::container("idle-old", "exited", {test::volume("idle", "/idle")}));
  all.push_back(
      test::container("no-data", "running", {test::bind_mount("/etc/x", "/etc/x", false)}));
  auto scratch = test::container("bba-scratch", "running", {test::volume("s", "/s")});
  scratch.labels["bba.scratch"] = "postgres";
  all.push_back(scratch);
  auto one_off = test::container("wiki-run-1", "running", {test::volume("wiki", "/wiki")});
  one_off.labels["com.docker.compose.oneoff"] = "True";
  all.push_back(one_off);

  const AuditReport report = audit_report(facts);
  CHECK(found(report, "no-container") == std::vector<std::string>{"forgejo"});
  CHECK(has_note(row(report, "forgejo"), "no container"));
  CHECK(row(report, "forgejo").ready == Ready::no);
  CHECK(found(report, "ambiguous") == std::vector<std::string>{"grafana"});
  CHECK(has_note(row(report, "grafana"), "several containers match"));
  std::map<std::string, std::string> unowned;
  for (const Finding& one : report.findings) {
    CAPTURE(one.what);
    CHECK(one.hint != "");
    if (one.kind == "unowned") unowned[one.subject] = one.what;
  }
  CHECK(unowned == std::map<std::string, std::string>{
                       {"idle-old", "exited, with data in /idle, and no module owns it"},
                       {"no-data", "running, without a data mount, and no module owns it"},
                       {"wiki-old", "running, with data in /wiki, and no module owns it"}});
}

TEST_CASE("audit: a container of a stateless module, or that the configuration names, is owned") {
  AuditFacts facts = facts_of_one("app");
  facts.platform.modules["web"] = {"web", conf::Statefulness::stateless, "core-1", "", {}};
  facts.containers->push_back(test::container("web", "running", {test::volume("w", "/w")}));
  facts.containers->push_back(test::container("odd", "running", {test::volume("o", "/o")}));
  CHECK(found(audit_report(facts), "unowned") == std::vector<std::string>{"odd"});
  facts.config.modules["ledger"].container = "odd";
  CHECK(found(audit_report(facts), "unowned").empty());
  // Neither is the container of a module whose file cannot be read.
  facts.containers->push_back(test::container("torn", "running", {test::volume("t", "/t")}));
  CHECK(found(audit_report(facts), "unowned") == std::vector<std::string>{"torn"});
  facts.runbook_names["torn"];
  CHECK(found(audit_report(facts), "unowned").empty());
}

TEST_CASE(
    "audit: broken files and modules that do not say whether they are stateful are findings") {
  AuditFacts facts = facts_of_one("app");
  facts.platform.problems = {"/platform/modules/x/module.yaml:3:1: not a map"};
  facts.platform.modules["vague"].id = "vague";
  const AuditReport report = audit_report(facts);
  CHECK(found(report, "no-statefulness") == std::vector<std::string>{"vague"});
  REQUIRE(found(report, "platform-file").size() == 1);
  CHECK(report.findings.back().what == facts.platform.problems.front());
}

TEST_CASE("audit: whether a stopped container is ready depends on its class") {
  struct Case {
    std::string module, state;
    Ready ready;
  };
  for (const Case& one : {Case{"postgres", "running", Ready::yes},
                          {"postgres", "exited", Ready::no},
                          {"postgres", "paused", Ready::no},
                          {"postgres", "restarting", Ready::no},
                          {"redis", "running", Ready::yes},
                          {"redis", "exited", Ready::partly},
                          {"app", "exited", Ready::yes},
                          {"app", "paused", Ready::yes},
                          {"app", "restarting", Ready::no}}) {
    CAPTURE(one.module);
    CAPTURE(one.state);
    AuditFacts facts = facts_of_one(one.module);
    facts.containers->front().state = one.state;
    const AuditReport report = audit_report(facts);
    CHECK(row(report, one.module).ready == one.ready);
    CHECK(has_note(row(report, one.module), "container is " + one.state) ==
          (one.state != "running"));
  }
}

TEST_CASE("audit: without the operator's credentials, Vault and MinIO fall back to files") {
  for (const auto& [module, variable] :
       std::map<std::string, std::string>{{"vault", "VAULT_TOKEN"}, {"minio", "MINIO_MC_ALIAS"}}) {
    CAPTURE(module);
    AuditFacts facts = facts_of_one(module);
    const std::string note = "no " + variable + " in your environment: falls back to files";
    CHECK(has_note(row(audit_report(facts), module), note));
    CHECK(row(audit_report(facts), module).ready == Ready::partly);
    facts.environment[variable] = "";
    CHECK(row(audit_report(facts), module).ready == Ready::partly);
    facts.environment[variable] = "x";
    CHECK(row(audit_report(facts), module).ready == Ready::yes);
    CHECK_FALSE(has_note(row(audit_report(facts), module), note));
    // Without data mounts there is nothing to fall back to.
    facts.containers->front().mounts.clear();
    CHECK(row(audit_report(facts), module).ready == Ready::yes);
    facts.environment.clear();
    CHECK(row(audit_report(facts), module).ready == Ready::no);
    CHECK(has_note(row(audit_report(facts), module), "no data mounts: needs paths"));
  }
}

TEST_CASE("audit: Vault's token is chosen as plan chooses it") {
  const auto ready = [](AuditFacts& facts) {
    const AuditRow one = row(audit_report(facts), "vault");
    return one.ready == Ready::yes;
  };
  AuditFacts facts = facts_of_one("vault", "openbao/openbao:2");
  CHECK(has_note(row(audit_report(facts), "vault"),
                 "no BAO_TOKEN or VAULT_TOKEN in your environment: falls back to files"));
  for (const std::string name : {"BAO_TOKEN", "VAULT_TOKEN"}) {
    CAPTURE(name);
    facts.environment = {{name, "t"}};
    CHECK(ready(facts));
  }
  // Vault's own program does not read BAO_TOKEN.
  facts = facts_of_one("vault", "hashicorp/vault:1");
  facts.environment = {{"BAO_TOKEN", "t"}};
  CHECK_FALSE(ready(facts));
  // The container's own token.
  facts.inspect = [](const std::string& id) {
    CHECK(id == "id-of-vault");
    wire::Container whole;
    whole.config_image = "hashicorp/vault:1";
    whole.env = {"VAULT_TOKEN=t"};
    return whole;
  };
  CHECK(ready(facts));
  facts.inspect = [](const std::string&) { return std::nullopt; };
  CHECK_FALSE(ready(facts));
}

TEST_CASE("audit: data mounts are listed, or the paths that are configured instead") {
  AuditFacts facts = facts_of_one("app");
  auto& mounts = facts.containers->front().mounts;
  mounts = {test::bind_mount("/srv/app", "/srv"), test::volume("db", "/db"),
            test::bind_mount("/etc/app.conf", "/etc/app.conf", false)};
  AuditRow one = row(audit_report(facts), "app");
  REQUIRE(one.data.size() == 2);
  CHECK(one.data[0].path == "/db");
  CHECK(one.data[0].source == "db");
  CHECK(one.data[1].path == "/srv");
  CHECK(one.data[1].source == "/srv/app");
  CHECK(one.data[1].size->bytes == 1 << 20);

  mounts.clear();
  one = row(audit_report(facts), "app");
  CHECK(one.ready == Ready::no);
  CHECK(has_note(one, "no data mounts: needs paths"));
  facts.config.modules["app"].paths = {"/opt/state"};
  one = row(audit_report(facts), "app");
  CHECK(one.ready == Ready::yes);
  REQUIRE(one.data.size() == 1);
  CHECK(one.data[0].path == "/opt/state");
  CHECK_FALSE(one.data[0].size.has_value());  // inside the container: this host cannot see it

  mounts = {test::volume("data", "/data"), test::volume("git", "/data/git"),
            test::volume("other", "/other")};
  facts.containers->push_back(test::container("worker", "running", {test::volume("other", "/x")}));
  facts.config.modules["app"].paths = {"/data"};
  one = row(audit_report(facts), "app");
  REQUIRE(one.data.size() == 2);
  CHECK(one.data[0].path == "/data");
  CHECK(one.data[1].path == "/data/git");
  CHECK(one.sharing.empty());
}

TEST_CASE("audit: the class and container of the configuration are used") {
  AuditFacts facts = facts_of_one("app");
  facts.config.modules["app"].module_class = 'F';
  facts.config.modules["app"].container = "renamed";
  facts.containers->front().names = {"renamed"};
  const AuditRow one = row(audit_report(facts), "app");
  CHECK(one.module_class == 'F');
  CHECK(one.rule == "configuration modules.app.class");
  CHECK(one.container == "renamed");
  CHECK(has_note(one, "engine-specific dump not proven"));
}

TEST_CASE("audit: a shared volume is named, with the containers that share it") {
  AuditFacts facts = facts_of_one("app");
  facts.containers->push_back(
      test::container("worker", "running", {test::volume("app-data", "/other")}));
  facts.containers->push_back(
      test::container("stopped", "exited", {test::volume("app-data", "/other")}));
  const AuditReport report = audit_report(facts);
  CHECK(has_note(row(report, "app"), "shares volume app-data with worker"));
  CHECK(row(report, "app").sharing == std::vector<std::string>{"worker"});
  CHECK(report.first_runs.empty());
}

TEST_CASE("audit: a separate compose root is part of the data") {
  AuditFacts facts = facts_of_one("agaria-redis");
  AuditRow one = row(audit_report(facts), "agaria-redis");
  CHECK(one.ready == Ready::no);
  CHECK(has_note(one, "compose directory not known: needs modules.agaria-redis.compose_root"));
  facts.containers->front().labels["com.docker.compose.project.working_dir"] = "/opt/agaria";
  one = row(audit_report(facts), "agaria-redis");
  CHECK(one.ready == Ready::partly);
  CHECK(has_note(one, "separate compose root: follow-up required"));
  REQUIRE(one.data.size() == 2);
  CHECK(one.data[0].path == "host:/opt/agaria");
  facts.source_kind = [](const std::string& path) {
    return path == "/opt/agaria" ? tree::SourceKind::unreachable : tree::SourceKind::directory;
  };
  one = row(audit_report(facts), "agaria-redis");
  CHECK(one.ready == Ready::no);
  CHECK(has_note(one, "compose directory /opt/agaria is not on this host"));
}

TEST_CASE("audit: a sidecar-bound module is as ready as the modules that hold its data") {
  AuditFacts facts = facts_of_fixture();
  const auto init = [&] { return row(audit_report(facts), "minio-init"); };
  CHECK(init().through == std::vector<std::string>{"minio"});
  CHECK(has_note(init(), "backed up through minio"));
  CHECK(init().ready == Ready::partly);
  CHECK(init().rule == "sidecar-bound: as minio");
  facts.environment["MINIO_MC_ALIAS"] = "local";
  CHECK(init().ready == Ready::yes);
  (*facts.backups)["minio"] = {noon - std::chrono::hours(3), 17, {}};
  REQUIRE(init().last_backup.has_value());
  CHECK(init().last_backup->bytes == 17);
  // It has done its work and is gone: that is not a finding.
  drop(*facts.containers, "minio-init");
  CHECK(found(audit_report(facts), "no-container").empty());
  CHECK(init().ready == Ready::yes);
  drop(*facts.containers, "minio");
  CHECK(init().ready == Ready::no);
}

TEST_CASE("audit: sidecar-bound modules with missing or circular references are findings") {
  AuditFacts facts = facts_of_one("app");
  auto& modules = facts.platform.modules;
  const auto add = [&](const std::string& id, std::vector<std::string> references) {
    modules[id] = {id, conf::Statefulness::sidecar_bound, "core-1", "", std::move(references)};
  };
  add("none", {});
  add("gone", {"nobody"});
  add("ring-a", {"ring-b"});
  add("ring-b", {"ring-a"});
  add("chain", {"link", "app"});
  add("link", {"app"});
  const AuditReport report = audit_report(facts);
  for (const std::string id : {"none", "gone", "ring-a", "ring-b"}) {
    CAPTURE(id);
    CHECK(row(report, id).ready == Ready::no);
  }
  CHECK(has_note(row(report, "gone"), "nobody is not a stateful module"));
  CHECK(row(report, "chain").through == std::vector<std::string>{"app"});
  CHECK(row(report, "chain").ready == Ready::yes);
}

TEST_CASE("audit: the last backup is shown with its age and the files that it has lost") {
  AuditFacts facts = facts_of_one("app");
  (*facts.backups)["app"] = {noon - std::chrono::hours(75), 4096, {"app-1.tar.gz"}};
  const AuditReport report = audit_report(facts);
  REQUIRE(row(report, "app").last_backup.has_value());
  CHECK_FALSE(has_note(row(report, "app"), "never backed up"));
  CHECK(has_note(row(report, "app"), "the last backup lacks app-1.tar.gz"));
  CHECK(has_line(audit_table(report), "  app *  3d  yes"));
  facts.backups.reset();
  facts.backups_trouble = "/backups: Permission denied";
  const AuditReport blind = audit_report(facts);
  CHECK_FALSE(has_note(row(blind, "app"), "never backed up"));
  CHECK(has_line(audit_table(blind), "  app *   ?  yes"));
  CHECK(has_line(audit_table(blind), "The backup directory could not be read: /backups: *"));
}

TEST_CASE("audit: candidates for a first run are listed smallest first, each with its reason") {
  AuditFacts facts = facts_of_fixture();
  facts.measure = [](const tree::ArchiveRules& rules) {
    // The size grows with the length of the path, so that the order can be checked.
    return tree::MeasureResult{rules.host_path.size() << 20, true};
  };
  const AuditReport report = audit_report(facts);
  REQUIRE(report.first_runs.size() >= 5);
  std::set<std::string> ids;
  for (const FirstRun& one : report.first_runs) {
    CAPTURE(one.module);
    const AuditRow& candidate = row(report, one.module);
    CHECK(candidate.module_class == 'E');
    CHECK(candidate.stack == "apps");
    CHECK(candidate.sharing.empty());
    CHECK(one.reason.starts_with("class E, stack apps; "));
    ids.insert(one.module);
  }
  for (const std::string id : {"vaultwarden", "infisical", "authelia", "gmail-triage-mcp",
                               "forgejo", "deploy-control", "git-mirror", "home-assistant"}) {
    CAPTURE(id);
    CHECK_FALSE(ids.contains(id));
  }
  const auto total = [&](const std::string& id) {
    std::uint64_t sum = 0;
    for (const AuditData& data : row(report, id).data) sum += data.size->bytes;
    return sum;
  };
  for (std::size_t i = 1; i < report.first_runs.size(); ++i) {
    CHECK(total(report.first_runs[i - 1].module) <= total(report.first_runs[i].module));
  }
}

TEST_CASE("audit: which modules are not candidates for a first run") {
  CHECK(audit_report(facts_of_one("app")).first_runs.size() == 1);
  const auto none = [](AuditFacts facts) { return audit_report(facts).first_runs.empty(); };
  AuditFacts facts = facts_of_one("app");
  facts.containers->front().state = "exited";
  CHECK(none(facts));
  facts = facts_of_one("app");
  facts.measure = [](const tree::ArchiveRules&) {
    return tree::MeasureResult{small_enough + 1, true};
  };
  CHECK(none(facts));
  facts = facts_of_one("app");
  (*facts.backups)["app"] = {noon, 1, {}};
  CHECK(none(facts));
  facts = facts_of_one("app");
  facts.platform.compose.services.push_back({"app", "", "", {}, "edge"});
  CHECK(none(facts));
  facts.platform.compose.services.front().stack = "apps";
  CHECK_FALSE(none(facts));
  for (const std::string name : {"keycloak", "oauth2-thing", "client-secrets", "traefik"}) {
    CAPTURE(name);
    CHECK(none(facts_of_one(name)));
  }
  CHECK(none(facts_of_one("app", "docker.io/vaultwarden/server:1")));
}

TEST_CASE("audit: a size that was not measured completely is a lower bound, and listed last") {
  AuditFacts facts = facts_of_one("app");
  facts.measure = [](const tree::ArchiveRules&) { return tree::MeasureResult{3 << 20, false}; };
  facts.platform.modules["bee"] = facts.platform.modules["app"];
  facts.platform.modules["bee"].id = "bee";
  facts.containers->push_back(test::container("bee", "running", {test::volume("b", "/b")}));
  facts.measure = [](const tree::ArchiveRules& rules) {
    return tree::MeasureResult{rules.path == "/b" ? 9ULL << 20 : 3ULL << 20, rules.path == "/b"};
  };
  const AuditReport report = audit_report(facts);
  CHECK(has_line(audit_table(report), "  app * >3.0 MiB *"));
  REQUIRE(report.first_runs.size() == 2);
  CHECK(report.first_runs[0].module == "bee");
  CHECK(report.first_runs[1].reason.find("size not known") != std::string::npos);
}

TEST_CASE("audit: without an engine, the report is made from the files") {
  AuditFacts facts = facts_of_fixture();
  facts.containers.reset();
  facts.engine_trouble = "connecting to /var/run/docker.sock: No such file or directory";
  facts.measure = [](const tree::ArchiveRules&) -> std::optional<tree::MeasureResult> {
    FAIL("nothing can be measured");
    return std::nullopt;
  };
  const AuditReport report = audit_report(facts);
  CHECK(report.rows.size() == 46);
  CHECK(report.findings.empty());
  CHECK(report.first_runs.empty());
  const AuditRow& vault = row(report, "vault");
  CHECK(vault.container == "platform-vault");
  CHECK(vault.state == "");
  CHECK(vault.ready == Ready::unknown);
  REQUIRE(vault.data.size() == 1);
  CHECK(vault.data[0].path == "/vault/file");
  CHECK(vault.data[0].source == "vault-raft");
  CHECK(row(report, "immich-postgres").module_class == 'A');
  const std::string table = audit_table(report);
  CHECK(has_line(table, "The engine did not answer, *"));
  CHECK(has_line(table, "  vault * (platform-vault) * /vault/file * ?  never  ?"));
  CHECK(audit_json(report)["engine_trouble"] == facts.engine_trouble);
}

TEST_CASE("audit: the table fits 120 columns, grouped by class, with the findings at the end") {
  AuditFacts facts = facts_of_fixture();
  drop(*facts.containers, "git-forgejo");
  facts.containers->push_back(test::container("a-rather-long-name-for-a-container-that-nobody-owns",
                                              "running",
                                              {test::volume("v", "/" + std::string(90, 'd')),
                                               test::volume("w", "/second/of/its/directories")}));
  named(*facts.containers, "grafana")
      .mounts.push_back(test::volume("deep", "/var/lib/" + std::string(70, 'x') + "/end"));
  const std::string table = audit_table(audit_report(facts));
  for (const std::string& line : lines_of(table)) {
    CAPTURE(line);
    CHECK(line.size() <= 120);
    CHECK_FALSE(line.ends_with(' '));
  }
  CHECK(has_line(table, "A  PostgreSQL: pg_dumpall"));
  CHECK(has_line(
      table, "45 stateful modules, 1 sidecar-bound: * ready, * partly, * not; 0 have a backup"));
  CHECK(has_line(table, "  grafana  *"));
  CHECK(has_line(table, " * /var/lib/xx*..*xx/end *"));
  std::size_t at = 0;
  for (const std::string part : {"\nA  ", "\nB  ", "\nC  ", "\nD  ", "\nE  ", "\nF  ", "\nG  ",
                                 "\nFindings\n", "\nCandidates for a first run"}) {
    CAPTURE(part);
    const std::size_t next = table.find(part, at);
    REQUIRE(next != std::string::npos);
    at = next;
  }
}

TEST_CASE("audit: names from outside are escaped for the terminal and the table's cells") {
  AuditFacts facts = facts_of_one("app");
  facts.containers->push_back(
      test::container("x\x1b[31m|y", "running", {test::volume("v", "/a|b\n")}));
  facts.containers->front().mounts.front().destination = "/da|ta\x1b[0m";
  const AuditReport report = audit_report(facts);
  CHECK(audit_table(report).find('\x1b') == std::string::npos);
  const std::string markdown = audit_markdown(report);
  CHECK(markdown.find('\x1b') == std::string::npos);
  CHECK(markdown.find("/da\\|ta") != std::string::npos);
}

TEST_CASE("audit: Markdown has a row for each module, each with all its cells") {
  const AuditReport report = audit_report(facts_of_fixture());
  const std::string markdown = audit_markdown(report);
  std::size_t rows = 0;
  for (const std::string& line : lines_of(markdown)) {
    if (!line.starts_with("|")) continue;
    CAPTURE(line);
    CHECK(std::count(line.begin(), line.end(), '|') == 8);
    ++rows;
  }
  CHECK(rows == report.rows.size() + 2);
  CHECK(has_line(markdown,
                 "| postgres | A | platform-postgres | /var/lib/postgresql/data (5.0 MiB) | never "
                 "| yes |  |"));
  CHECK(has_line(markdown, "### Findings"));
  CHECK(has_line(markdown, "1. *: class E, stack apps; *"));
}

TEST_CASE("audit: JSON rows name module and class") {
  AuditFacts facts = facts_of_fixture();
  (*facts.backups)["redis"] = {noon - std::chrono::minutes(90), 512, {}};
  const Json json = audit_json(audit_report(facts));
  REQUIRE(json["modules"].is_array());
  CHECK(json["modules"].size() == 46);
  for (const Json& one : json["modules"]) {
    CHECK(one["module"].is_string());
    CHECK(one["class"].get<std::string>().size() == 1);
    CHECK(one["notes"].is_array());
  }
  const auto redis = std::find_if(json["modules"].begin(), json["modules"].end(),
                                  [](const Json& one) { return one["module"] == "redis"; });
  REQUIRE(redis != json["modules"].end());
  CHECK((*redis)["last_backup"]["age_seconds"] == 5400);
  CHECK((*redis)["last_backup"]["bytes"] == 512);
  CHECK((*redis)["data"][0]["bytes"] == 5 << 20);
  CHECK((*redis)["ready"] == "yes");
  for (const Json& one : json["first_runs"]) {
    CHECK(one["module"].is_string());
    CHECK(one["class"] == "E");
    CHECK(one["reason"].is_string());
  }
}
