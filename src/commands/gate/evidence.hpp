// What the gate judges: a set of the backup directory, or the public proof of one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/commands/gate/gate.hpp"

namespace bba::commands {

// What the one or the other yields: something to judge, or why there is nothing.
struct Evidence {
  std::optional<store::Proof> proof;
  std::vector<Refusal> refusals;
  std::optional<std::string> failed_drill;  // why its last drill failed
};

// Artifacts are their owner's alone, so a directory of somebody else is closed even where it can be
// listed.
bool may_read_backups(const std::string& path);

Evidence ask_directory(run::Session& session, const GateRequest& request);
Evidence ask_proof(const run::Session& session, const GateRequest& request);

}  // namespace bba::commands
