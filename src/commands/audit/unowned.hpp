// The containers that no module owns.
#pragma once

#include "bba/commands/audit/audit.hpp"

namespace bba::commands {

// Adds a finding for each; asks the facts' containers, which have to be there.
void find_unowned(const AuditFacts& facts, std::vector<Finding>& findings);

}  // namespace bba::commands
