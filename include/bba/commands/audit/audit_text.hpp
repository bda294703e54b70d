// The audit's report for people (120 columns), for a runbook (Markdown) and for programs (JSON).
#pragma once

#include <string>

#include "bba/commands/audit/audit.hpp"

namespace bba::commands {

std::string audit_table(const AuditReport& report);
std::string audit_markdown(const AuditReport& report);
Json audit_json(const AuditReport& report);

}  // namespace bba::commands
