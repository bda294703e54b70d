// How a module's container is recognised, and which of a container's mounts hold data.
#include "lookup.hpp"

namespace bba::commands {

run::LookupClues clues_of(const AuditFacts& facts, const std::string& module) {
  const auto runbook = facts.runbook_names.find(module);
  run::LookupClues clues = run::clues_in_files(
      module, facts.platform.compose,
      runbook == facts.runbook_names.end() ? std::vector<std::string>{} : runbook->second);
  clues.configured = run::module_settings(facts.config, module).container;
  return clues;
}

std::vector<service::MountChoice> mounts_of(const wire::ContainerSummary& container,
                                            const AuditFacts& facts) {
  std::vector<tree::SourceKind> kinds;
  for (const wire::Mount& mount : container.mounts)
    kinds.push_back(facts.source_kind(mount.source));
  return service::choose_mounts(container.mounts, kinds);
}

}  // namespace bba::commands
