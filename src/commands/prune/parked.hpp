// Removes what restores have parked.
#pragma once

#include "bba/commands/prune/prune.hpp"

namespace bba::commands {

// Of the request's module, or of all. Throws Error{busy} where another run holds one of them: then
// nothing was removed.
std::vector<PrunedParked> prune_parked(run::Session& session, const PruneRequest& request);

}  // namespace bba::commands
