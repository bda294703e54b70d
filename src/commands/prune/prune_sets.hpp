// Removes the sets that the rules do not keep.
#pragma once

#include "bba/commands/prune/prune.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

std::vector<PrunedSet> prune_sets(run::Session& session, const store::OwnedDirectory& directory,
                                  const store::Catalogue& catalogue, const PruneRequest& request);

}  // namespace bba::commands
