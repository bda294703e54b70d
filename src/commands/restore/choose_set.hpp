// Which set a restore takes, with those that belong together with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/commands/restore.hpp"
#include "commands/set_reference.hpp"

namespace bba::commands {

// The set that the request names or, without a name, the newest one that verifies, no drill has
// disproved, is not a fallback, is not known to lack data, and is no safety set; first, and then
// the sets that belong together with it, for all of which the same holds. Throws Error{artifact}
// where the named one does not verify, Error{config} where there is no good one.
std::vector<ChosenSet> choose_sets(run::Session& session, const std::string& module,
                                   const std::optional<std::string>& reference);

}  // namespace bba::commands
