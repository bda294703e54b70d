// Which container a module of the audit has, and what data a container has, as the facts tell.
#pragma once

#include "bba/commands/audit/audit.hpp"
#include "bba/run/target.hpp"

namespace bba::commands {

run::LookupClues clues_of(const AuditFacts& facts, const std::string& module);
std::vector<service::MountChoice> mounts_of(const wire::ContainerSummary& container,
                                            const AuditFacts& facts);

}  // namespace bba::commands
