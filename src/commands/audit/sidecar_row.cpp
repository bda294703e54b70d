// Follows the references of a sidecar-bound module to the modules that are backed up in its place,
// and makes its row from theirs.
#include "sidecar_row.hpp"

#include <algorithm>
#include <set>

#include "bba/base/text.hpp"
#include "bba/services/registry.hpp"
#include "lookup.hpp"

namespace bba::commands {

namespace {

using conf::Module;
using conf::Statefulness;

void lower(AuditRow& row, Ready ready) {
  row.ready = std::max(row.ready, ready);
}

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

}  // namespace

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

}  // namespace bba::commands
