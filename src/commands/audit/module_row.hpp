// One stateful module: its row of the report, and what is wrong with it.
#pragma once

#include "bba/commands/audit/audit.hpp"

namespace bba::commands {

// With `tell_hosts` the row of a module on another host than the facts' says so. What is wrong is
// added to `findings`.
AuditRow module_row(const AuditFacts& facts, const conf::Module& module, bool tell_hosts,
                    std::vector<Finding>& findings);

}  // namespace bba::commands
