// The catalogue, and the locks of all modules of which a prune may remove a file.
#pragma once

#include <map>
#include <string>

#include "bba/commands/prune/prune.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/catalogue.hpp"
#include "bba/store/lock.hpp"

namespace bba::commands {

// The catalogue as it was read while every module of it was locked: what is in it stays as it is.
struct LockedCatalogue {
  store::Catalogue catalogue;
  std::map<std::string, store::ModuleLock> locks;
};

LockedCatalogue lock_catalogue(const run::Session& session, const store::OwnedDirectory& directory,
                               const PruneRequest& request);

}  // namespace bba::commands
