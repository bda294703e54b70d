// Which modules to begin with: the candidates for a first run.
#pragma once

#include "bba/commands/audit/audit.hpp"

namespace bba::commands {

// Lowest blast radius first.
std::vector<FirstRun> first_runs(const std::vector<AuditRow>& rows);

}  // namespace bba::commands
