// One sidecar-bound module: its row of the report, judged by the modules in whose backup it is.
#pragma once

#include "bba/commands/audit/audit.hpp"

namespace bba::commands {

// `rows` are those of the stateful modules.
AuditRow sidecar_row(const AuditFacts& facts, const conf::Module& module,
                     const std::vector<AuditRow>& rows);

}  // namespace bba::commands
