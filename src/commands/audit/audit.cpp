#include "bba/commands/audit/audit.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits.h>
#include <set>
#include <tuple>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/run/host_name.hpp"
#include "bba/run/target.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

namespace {

using conf::Module;
using conf::Statefulness;
using wire::ContainerSummary;

// What would hurt many when a first run goes wrong, where no compose stack says so.
constexpr std::array core_names{"*proxy*",  "*gateway*", "*dns*",   "adguard*",  "pihole*",
                                "traefik*", "caddy*",    "nginx*",  "registry*", "deploy-*",
                                "git-*",    "gitea*",    "gitlab*", "forgejo*"};
constexpr std::array core_stacks{"core", "edge", "base"};
// What names of services that guard secrets, or hold much of them, have in them.
constexpr std::array sensitive_words{
    "vault", "infisical",  "openbao", "auth",  "secret", "keycloak", "sso", "ldap",
    "passw", "credential", "cert",    "token", "oidc",   "mail",     "vpn", "wireguard"};

std::string label(const ContainerSummary& container, const std::string& key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? std::string() : found->second;
}

void lower(AuditRow& row, Ready ready) {
  row.ready = std::max(row.ready, ready);
}

// Whether some module says that it lives here. Where none does, the names are of another kind (or
// the files are read elsewhere), and to say so on each row would be no help.
bool hosts_can_be_told(const AuditFacts& facts) {
  return std::any_of(facts.platform.modules.begin(), facts.platform.modules.end(),
                     [&](const auto& one) { return run::same_host(one.second.host, facts.host); });
}

const conf::ComposeService* service_of(const conf::Platform& platform, const std::string& module,
                                       const ContainerSummary* container) {
  const std::string service =
      container != nullptr ? label(*container, "com.docker.compose.service") : std::string();
  const std::string name = container != nullptr ? wire::name_of(*container) : std::string();
  const conf::ComposeService* best = nullptr;
  for (const conf::ComposeService& one : platform.compose.services) {
    if (!name.empty() && one.container_name == name) return &one;
    // A container that is called like the module, and that Compose makes of another service, is
    // none of the module's, unless the configuration says so: then there is a container to go by.
    if (one.name == module || (!service.empty() && one.name == service)) best = &one;
  }
  return best;
}

// What a compose file says of a service's mounts, for when no engine can be asked.
std::vector<service::MountChoice> mounts_in_file(const conf::ComposeService& service) {
  std::vector<wire::Mount> mounts;
  for (const conf::ComposeVolume& volume : service.volumes) {
    const bool bind = volume.type == "bind";
    mounts.push_back({volume.type, bind ? std::string() : volume.source,
                      bind ? volume.source : std::string(), volume.target, !volume.read_only});
  }
  return service::choose_mounts(mounts, std::vector(mounts.size(), tree::SourceKind::directory));
}

std::vector<service::MountChoice> mounts_of(const ContainerSummary& container,
                                            const AuditFacts& facts) {
  std::vector<tree::SourceKind> kinds;
  for (const wire::Mount& mount : container.mounts)
    kinds.push_back(facts.source_kind(mount.source));
  return service::choose_mounts(container.mounts, kinds);
}

run::LookupClues clues_of(const AuditFacts& facts, const std::string& module) {
  const auto runbook = facts.runbook_names.find(module);
  run::LookupClues clues = run::clues_in_files(
      module, facts.platform.compose,
      runbook == facts.runbook_names.end() ? std::vector<std::string>{} : runbook->second);
  clues.configured = run::module_settings(facts.config, module).container;
  return clues;
}

// One row, from the module's file to the verdict.
class Row {
 public:
  Row(const AuditFacts& facts, const Module& module, bool tell_hosts,
      std::vector<Finding>& findings)
      : facts_(facts), module_(module), findings_(findings) {
    row_.module = module.id;
    elsewhere_ = tell_hosts && !module.host.empty() && !run::same_host(module.host, facts.host);
    settings_ = run::module_settings(facts.config, module.id);
  }

  AuditRow judged() {
    find();
    choose_class();
    list_data();
    look_for_sharing();
    judge_service();
    look_for_backup();
    return std::move(row_);
  }

 private:
  void note(std::string text, Ready ready = Ready::yes) {
    row_.notes.push_back(std::move(text));
    lower(row_, ready);
  }

  void find() {
    const run::LookupClues clues = clues_of(facts_, module_.id);
    if (!facts_.containers) {
      row_.ready = Ready::unknown;
      const auto* service = service_of(facts_.platform, module_.id, nullptr);
      if (clues.configured) {
        row_.container = *clues.configured;
      } else if (service != nullptr && !service->container_name.empty()) {
        row_.container = service->container_name;
      } else if (!clues.runbook_names.empty()) {
        row_.container = clues.runbook_names.front();
      }
      if (elsewhere_) note(lives_elsewhere(), Ready::no);
      return;
    }
    try {
      run::FoundContainer found = run::find_container(clues, *facts_.containers);
      row_.container = wire::name_of(found.container);
      row_.state = found.container.state;
      row_.found_by = found.step;
      container_ = std::move(found.container);
      if (elsewhere_) note(fmt::format("module.yaml says it lives on {}", module_.host));
    } catch (const Error& error) {
      if (!run::candidates(clues, *facts_.containers).containers.empty()) {
        note("several containers match", Ready::no);
        findings_.push_back({"ambiguous", module_.id, error.what(), error.hint()});
      } else if (elsewhere_) {
        note(lives_elsewhere(), Ready::no);
      } else {
        note("no container", Ready::no);
        findings_.push_back({"no-container", module_.id,
                             clues.configured ? error.what() : "no container was found",
                             error.hint()});
      }
    }
  }

  std::string lives_elsewhere() const {
    return fmt::format("lives on host {}, not on this one", module_.host);
  }

  void choose_class() {
    const conf::ComposeService* service =
        service_of(facts_.platform, module_.id, container_ ? &*container_ : nullptr);
    if (service != nullptr) row_.stack = service->stack;
    row_.image = container_                        ? container_->image
                 : !module_.image_observed.empty() ? module_.image_observed
                 : service != nullptr              ? service->image
                                                   : std::string();
    const conf::ClassChoice choice = services::class_of(facts_.config, module_.id, row_.image);
    row_.module_class = choice.module_class;
    row_.rule = choice.why;
  }

  void list_data() {
    if (container_) {
      mounts_ = mounts_of(*container_, facts_);
    } else if (const auto* service = service_of(facts_.platform, module_.id, nullptr);
               service != nullptr && !facts_.containers) {
      mounts_ = mounts_in_file(*service);
    }
    if (service().has_compose_root()) add_compose_root();
    service::Target target;
    target.settings = settings_;
    if (!settings_.paths.empty()) {
      service::narrow_to_paths(target.settings.paths, mounts_, "paths are archived instead");
    }
    for (const service::PathArchive& archive : service::path_archives(target, mounts_)) {
      AuditData data{archive.path, archive.host_path, std::nullopt};
      for (const service::MountChoice& choice : mounts_) {
        if (choice.mount.destination == archive.path && !choice.mount.name.empty()) {
          data.source = choice.mount.name;
        }
      }
      if (container_ && !archive.host_path.empty()) {
        tree::ArchiveRules rules;
        rules.path = archive.path;
        rules.host_path = archive.host_path;
        rules.excludes = archive.excludes;
        rules.nested = archive.nested;
        data.size = facts_.measure(rules);
      }
      row_.data.push_back(std::move(data));
    }
  }

  void add_compose_root() {
    std::string root =
        container_ ? label(*container_, "com.docker.compose.project.working_dir") : std::string();
    if (settings_.compose_root) root = *settings_.compose_root;
    if (root.empty()) {
      if (container_) {
        note(fmt::format("compose directory not known: needs modules.{}.compose_root", module_.id),
             Ready::no);
      }
      return;
    }
    AuditData data{"host:" + root, root, std::nullopt};
    if (container_ && facts_.source_kind(root) == tree::SourceKind::directory) {
      tree::ArchiveRules rules;
      rules.path = rules.host_path = root;
      for (const service::MountChoice& choice : mounts_) {
        if (choice.taken) rules.excludes.push_back(choice.mount.source);
      }
      data.size = facts_.measure(rules);
    } else if (container_) {
      note(fmt::format("compose directory {} is not on this host", root), Ready::no);
    }
    row_.data.push_back(std::move(data));
  }

  void look_for_sharing() {
    if (!container_) return;
    for (const service::MountChoice& choice : mounts_) {
      if (!choice.taken) continue;
      std::vector<std::string> others;
      for (const auto& one :
           service::sharing_containers(*facts_.containers, container_->id, {choice})) {
        if (one.id != container_->id) others.push_back(one.name);
      }
      if (others.empty()) continue;
      const bool volume = choice.mount.type == "volume" && !choice.mount.name.empty();
      note(fmt::format("shares {} with {}",
                       volume ? "volume " + choice.mount.name : choice.mount.source,
                       join(others, ", ")));
      row_.sharing.insert(row_.sharing.end(), others.begin(), others.end());
    }
  }

  const service::Service& service() const {
    return *services::service_by_letter(row_.module_class);
  }

  void judge_service() {
    const service::Target target = whole_target();
    const service::Readiness readiness =
        service().readiness({target, container_ ? row_.state : std::string(), facts_.environment});
    for (const service::ReadinessNote& one : readiness.notes) note(one.text, one.ready);
    if (readiness.files_only && container_ && row_.data.empty()) {
      note("no data mounts: needs paths", Ready::no);
    }
  }

  // As `plan` has it, so that both find the same credentials.
  service::Target whole_target() const {
    service::Target target;
    target.module = module_.id;
    target.module_class = row_.module_class;
    target.settings = settings_;
    target.operator_env = run::lent_variables(settings_, facts_.environment);
    if (container_) {
      if (auto whole = facts_.inspect(container_->id)) target.container = std::move(*whole);
    }
    if (target.container.config_image.empty()) target.container.config_image = row_.image;
    return target;
  }

  void look_for_backup() {
    if (!facts_.backups) return;
    const auto found = facts_.backups->find(module_.id);
    if (found == facts_.backups->end()) {
      note(std::string(never_backed_up));
      return;
    }
    row_.last_backup = found->second;
    if (!found->second.missing.empty()) {
      note(fmt::format("the last backup has lost {}", join(found->second.missing, ", ")));
    }
  }

  const AuditFacts& facts_;
  const Module& module_;
  std::vector<Finding>& findings_;
  AuditRow row_;
  conf::ModuleSettings settings_;
  bool elsewhere_ = false;
  std::optional<ContainerSummary> container_;
  std::vector<service::MountChoice> mounts_;
};

// The modules in whose backup a sidecar-bound module is; as plan resolves them.
void follow(const conf::Platform& platform, const Module& module, std::set<std::string>& seen,
            std::vector<std::string>& through) {
  for (const std::string& reference : module.backup_ref_modules) {
    if (!seen.insert(reference).second) continue;
    const auto found = platform.modules.find(reference);
    if (found != platform.modules.end() &&
        found->second.statefulness == Statefulness::sidecar_bound) {
      follow(platform, found->second, seen, through);
    } else {
      through.push_back(reference);
    }
  }
}

AuditRow sidecar_row(const AuditFacts& facts, const Module& module,
                     const std::vector<AuditRow>& rows) {
  AuditRow row;
  row.module = module.id;
  row.image = module.image_observed;
  std::set<std::string> seen{module.id};
  follow(facts.platform, module, seen, row.through);
  if (facts.containers) {
    try {
      const run::FoundContainer found =
          run::find_container(clues_of(facts, module.id), *facts.containers);
      row.container = wire::name_of(found.container);
      row.state = found.container.state;
      row.found_by = found.step;
      row.image = found.container.image;
    } catch (const Error&) {
      // Its data is in other containers; this one may well be gone once it has done its work.
      row.found_by = "";
    }
  }
  const conf::ClassChoice choice = services::class_of(facts.config, module.id, row.image);
  row.module_class = choice.module_class;
  row.rule = choice.why;
  if (row.through.empty()) {
    row.notes.push_back("sidecar-bound, but backup_ref_modules names no module");
    row.ready = Ready::no;
    return row;
  }
  row.notes.push_back("backed up through " + join(row.through, ", "));
  bool all_backed_up = true;
  for (const std::string& reference : row.through) {
    const auto other = std::find_if(rows.begin(), rows.end(),
                                    [&](const AuditRow& one) { return one.module == reference; });
    if (other == rows.end()) {
      row.notes.push_back(reference + " is not a stateful module");
      lower(row, Ready::no);
      all_backed_up = false;
      continue;
    }
    if (&reference == &row.through.front()) {
      row.module_class = other->module_class;
      row.rule = "sidecar-bound: as " + reference;
    }
    lower(row, other->ready);
    if (!other->last_backup) {
      all_backed_up = false;
    } else if (!row.last_backup || other->last_backup->time < row.last_backup->time) {
      row.last_backup = other->last_backup;
    }
  }
  if (!all_backed_up) {
    row.last_backup.reset();
    if (facts.backups) row.notes.emplace_back(never_backed_up);
  }
  return row;
}

void find_unowned(const AuditFacts& facts, std::vector<Finding>& findings) {
  std::set<std::string> owners;
  for (const auto& [id, module] : facts.platform.modules) owners.insert(id);
  for (const auto& [id, names] : facts.runbook_names) owners.insert(id);
  for (const auto& [id, settings] : facts.config.modules) owners.insert(id);
  std::set<std::string> owned;
  for (const std::string& id : owners) {
    for (const auto& one : run::candidates(clues_of(facts, id), *facts.containers).containers) {
      owned.insert(one.id);
    }
  }
  std::vector<Finding> unowned;
  for (const ContainerSummary& one : *facts.containers) {
    // Those of `compose run` and the scratch containers of drills go by themselves.
    if (owned.contains(one.id) || run::is_one_off(one) || one.labels.contains("bba.scratch"))
      continue;
    std::vector<std::string> data;
    for (const service::MountChoice& choice : mounts_of(one, facts)) {
      if (choice.taken) data.push_back(choice.mount.destination);
    }
    unowned.push_back(
        {"unowned", wire::name_of(one),
         fmt::format("{}, {}, and no module owns it", one.state,
                     data.empty() ? "without a data mount" : "with data in " + join(data, ", ")),
         "add modules/<id>/module.yaml, or set modules.<id>.container"});
  }
  std::sort(unowned.begin(), unowned.end(),
            [](const Finding& a, const Finding& b) { return a.subject < b.subject; });
  findings.insert(findings.end(), unowned.begin(), unowned.end());
}

bool is_core(const AuditRow& row) {
  if (std::find(core_stacks.begin(), core_stacks.end(), row.stack) != core_stacks.end())
    return true;
  return std::any_of(core_names.begin(), core_names.end(),
                     [&](const char* pattern) { return glob_match(pattern, row.module); });
}

bool is_sensitive(const AuditRow& row) {
  const std::string image = conf::image_repository(row.image);
  return std::any_of(sensitive_words.begin(), sensitive_words.end(), [&](const char* word) {
    return row.module.find(word) != std::string::npos || image.find(word) != std::string::npos;
  });
}

struct Size {
  bool known = true;
  std::uint64_t bytes = 0;
};

Size size_of(const AuditRow& row) {
  Size size;
  for (const AuditData& data : row.data) {
    if (!data.size || !data.size->whole) size.known = false;
    if (data.size) size.bytes += data.size->bytes;
  }
  return size;
}

std::vector<FirstRun> first_runs(const std::vector<AuditRow>& rows) {
  std::vector<const AuditRow*> fit;
  for (const AuditRow& row : rows) {
    const Size size = size_of(row);
    if (services::service_by_letter(row.module_class)->suits_first_run() &&
        row.ready == Ready::yes && row.through.empty() && row.state == "running" &&
        row.sharing.empty() && !row.last_backup && !is_core(row) && !is_sensitive(row) &&
        size.bytes <= small_enough) {
      fit.push_back(&row);
    }
  }
  const auto rank = [](const AuditRow* row) {
    const Size size = size_of(*row);
    return std::make_tuple(!size.known, size.bytes, row->data.size(), row->module);
  };
  std::sort(fit.begin(), fit.end(),
            [&](const AuditRow* a, const AuditRow* b) { return rank(a) < rank(b); });
  std::vector<FirstRun> runs;
  for (const AuditRow* row : fit) {
    const Size size = size_of(*row);
    runs.push_back(
        {row->module, row->module_class,
         fmt::format("class {}, {}; {}{}; running; no shared data; nothing secret by name",
                     row->module_class,
                     row->stack.empty() ? "in no compose stack" : "stack " + row->stack,
                     size.known ? format_bytes(size.bytes) : "size not known",
                     row->data.size() == 1 ? "" : fmt::format(" in {} mounts", row->data.size()))});
  }
  return runs;
}

void remark_on_hosts(const AuditFacts& facts, std::vector<std::string>& remarks) {
  std::map<std::string, int> hosts;
  for (const auto& [id, module] : facts.platform.modules) {
    if (!module.host.empty()) ++hosts[module.host];
  }
  if (hosts.empty()) return;
  std::vector<std::string> names;
  for (const auto& [host, count] : hosts) names.push_back(fmt::format("{} ({})", host, count));
  remarks.push_back(fmt::format("no module.yaml says that it lives on this host, {}: they say {}",
                                facts.host, join(names, ", ")));
}

}  // namespace

AuditReport audit_report(const AuditFacts& facts) {
  AuditReport report;
  report.platform_root = facts.platform.root;
  report.host = facts.host;
  report.time = facts.time;
  report.engine_trouble = facts.engine_trouble;
  report.backups_trouble = facts.backups_trouble;
  const bool tell_hosts = hosts_can_be_told(facts);
  if (!tell_hosts) remark_on_hosts(facts, report.remarks);

  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::stateful) continue;
    report.rows.push_back(Row(facts, module, tell_hosts, report.findings).judged());
  }
  std::vector<AuditRow> sidecars;
  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::sidecar_bound) continue;
    sidecars.push_back(sidecar_row(facts, module, report.rows));
  }
  std::move(sidecars.begin(), sidecars.end(), std::back_inserter(report.rows));
  std::sort(report.rows.begin(), report.rows.end(), [](const AuditRow& a, const AuditRow& b) {
    return std::tie(a.module_class, a.module) < std::tie(b.module_class, b.module);
  });

  if (facts.containers) {
    find_unowned(facts, report.findings);
    report.first_runs = first_runs(report.rows);
  }
  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::unknown) continue;
    report.findings.push_back({"no-statefulness", id,
                               "its module.yaml does not say whether it is stateful, so it is not "
                               "in this report",
                               "set spec.runtime.statefulness"});
  }
  for (const std::string& problem : facts.platform.problems) {
    report.findings.push_back({"platform-file", "", problem, ""});
  }
  return report;
}

namespace {

void ask_engine(run::Session& session, AuditFacts& facts) {
  try {
    std::vector<ContainerSummary> containers = session.engine.list();
    for (ContainerSummary& one : containers) {
      service::resolve_sources(one.mounts);
      if (!one.image.starts_with("sha256:")) continue;
      // The name now belongs to a newer image; what the container was created by is still known.
      try {
        one.image = session.engine.inspect(one.id).config_image;
      } catch (const docker::ApiError&) {
        one.state = "removing";  // it went away meanwhile
      }
    }
    if (const std::string name = session.engine.info().name; !name.empty()) facts.host = name;
    facts.containers = std::move(containers);
  } catch (const Error& error) {
    session.stop.throw_if_requested();
    if (error.kind() != ErrorKind::engine && error.kind() != ErrorKind::timeout) throw;
    facts.engine_trouble = error.what();
  }
}

void read_backups(const run::Session& session, AuditFacts& facts) {
  const std::string& path = session.settings.backup_dir;
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    facts.backups.emplace();
    return;
  }
  try {
    const auto directory = store::OwnedDirectory::open_existing(path);
    std::map<std::string, LastBackup> backups;
    for (const store::BackupSet& set : store::read_catalogue(directory).sets) {
      const store::Manifest& manifest = set.manifest;
      const auto known = backups.find(manifest.module);
      if (known != backups.end() && known->second.time >= manifest.started) continue;
      LastBackup last{manifest.started, 0, set.missing};
      for (const store::ArtifactRecord& artifact : manifest.artifacts) last.bytes += artifact.bytes;
      backups[manifest.module] = std::move(last);
    }
    facts.backups = std::move(backups);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    facts.backups_trouble = error.what();
  }
}

}  // namespace

AuditFacts gather_audit(run::Session& session) {
  using Clock = std::chrono::steady_clock;
  AuditFacts facts;
  const std::string& root = session.settings.platform_root;
  facts.platform = conf::load_platform(root);
  const std::vector<std::string> ids = conf::module_ids(root);
  if (ids.empty()) {
    throw Error(ErrorKind::config, fmt::format("there is no module below {}/modules", root),
                "say with --platform-root where the platform's files are");
  }
  for (const std::string& id : ids) {
    try {
      facts.runbook_names[id] = conf::runbook_containers(root, id);
    } catch (const Error& error) {
      facts.runbook_names[id];
      facts.platform.problems.emplace_back(error.what());
    }
  }
  facts.config = session.settings.config;
  facts.environment = session.settings.environment;
  facts.host = run::host_name();
  facts.time = now();
  ask_engine(session, facts);
  read_backups(session, facts);
  facts.inspect = [&session](const std::string& id) { return session.engine.find(id); };
  facts.source_kind = tree::source_kind;
  // A report is worth some seconds, not the minutes that a large tree takes.
  const auto end = Clock::now() + std::chrono::seconds(10);
  facts.measure = [end, &stop = session.stop](const tree::ArchiveRules& rules) {
    const auto until = std::min(end, Clock::now() + std::chrono::seconds(2));
    const auto measured =
        tree::measure(rules, [&] { return Clock::now() < until && !stop.is_due(); });
    stop.throw_if_requested();
    return measured;
  };
  return facts;
}

}  // namespace bba::commands
