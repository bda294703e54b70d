// The files of no set: which of them a prune removes.
#pragma once

#include "bba/commands/prune/prune.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

// Empty for a dot-file: its name has none.
std::string module_of(const store::Orphan& orphan);

std::vector<PrunedOrphan> prune_orphans(const run::Session& session,
                                        const store::OwnedDirectory& directory,
                                        const store::Catalogue& catalogue,
                                        const PruneRequest& request);

}  // namespace bba::commands
