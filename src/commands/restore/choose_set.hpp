// Which set a restore takes.
#pragma once

#include "bba/commands/restore.hpp"
#include "commands/set_reference.hpp"

namespace bba::commands {

// The set that the request names or, without a name, the newest one that verifies, no drill has
// disproved, is no safety set, is not a fallback and is not known to lack data. Throws
// Error{artifact} where the named one does not verify, Error{config} where there is no good one.
ChosenSet choose_set(run::Session& session, const RestoreRequest& request);

}  // namespace bba::commands
