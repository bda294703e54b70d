// The row of one stateful module, from its file and its container to the verdict.
#include "module_row.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/run/host_name.hpp"
#include "bba/services/registry.hpp"
#include "lookup.hpp"

namespace bba::commands {

namespace {

using conf::Module;
using wire::ContainerSummary;

std::string label(const ContainerSummary& container, const std::string& key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? std::string() : found->second;
}

const conf::ComposeService* service_of(const conf::Platform& platform, const std::string& module,
                                       const ContainerSummary* container) {
  const std::string service =
      container != nullptr ? label(*container, "com.docker.compose.service") : std::string();
  const std::string name = container != nullptr ? wire::name_of(*container) : std::string();
  const conf::ComposeService* best = nullptr;
  for (const conf::ComposeService& one : platform.compose.services) {
    if (!name.empty() && one.container_name == name) return &one;
    // A container that has the module's name, and is of another Compose service, is not the
    // module's, unless the configuration names it: then its own service counts.
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
    row_.ready = std::max(row_.ready, ready);
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
      note(fmt::format("the last backup lacks {}", join(found->second.missing, ", ")));
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

}  // namespace

AuditRow module_row(const AuditFacts& facts, const Module& module, bool tell_hosts,
                    std::vector<Finding>& findings) {
  return Row(facts, module, tell_hosts, findings).judged();
}

}  // namespace bba::commands
