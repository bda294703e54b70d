// Reads the catalogue and locks its modules, until the two agree.
#include "locked_catalogue.hpp"

#include <set>

#include "asked_for.hpp"
#include "orphans.hpp"

namespace bba::commands {

namespace {

// The modules whose files may be removed, and those that have sets in a group with theirs.
std::set<std::string> modules_of(const PruneRequest& request, const store::Catalogue& catalogue) {
  std::set<std::string> modules;
  for (const store::BackupSet& set : catalogue.sets) {
    if (!is_asked_for(request, set.manifest.module)) continue;
    modules.insert(set.manifest.module);
    for (const std::string& member : set.manifest.members) {
      if (const auto parsed = store::parse_name(member)) modules.insert(parsed->module);
    }
  }
  for (const store::Orphan& orphan : catalogue.orphans) {
    const std::string module = module_of(orphan);
    if (request.orphans && !module.empty() && is_asked_for(request, module)) modules.insert(module);
  }
  return modules;
}

}  // namespace

LockedCatalogue lock_catalogue(const run::Session& session, const store::OwnedDirectory& directory,
                               const PruneRequest& request) {
  LockedCatalogue locked;
  for (bool is_complete = false; !is_complete;) {
    locked.catalogue = store::read_catalogue(directory);
    is_complete = true;
    // A module's first backup may have come since.
    for (const std::string& module : modules_of(request, locked.catalogue)) {
      if (locked.locks.contains(module)) continue;
      locked.locks.try_emplace(module, session.settings.state_dir, module);
      is_complete = false;
    }
  }
  return locked;
}

}  // namespace bba::commands
