// Finds the containers that no module owns, and says what data they have.
#include "unowned.hpp"

#include <algorithm>
#include <set>

#include "bba/base/text.hpp"
#include "bba/run/replace_container.hpp"
#include "lookup.hpp"

namespace bba::commands {

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
  for (const wire::ContainerSummary& one : *facts.containers) {
    // Those of `compose run` and the scratch containers of drills are temporary, and what restores
    // and rollbacks have put aside is in `list`.
    if (owned.contains(one.id) || run::is_one_off(one) || one.labels.contains("bba.scratch") ||
        one.labels.contains("bba.parked") || run::is_name_of_replaced(wire::name_of(one))) {
      continue;
    }
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

}  // namespace bba::commands
