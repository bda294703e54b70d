// What the gate judges: a set of the backup directory, or the public proof of one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/commands/gate/gate.hpp"
#include "commands/set_reference.hpp"

namespace bba::commands {

// What the one or the other yields: something to judge, or why there is nothing.
struct Evidence {
  std::optional<store::Proof> proof;
  std::vector<Refusal> refusals;
  std::optional<std::string> failed_drill;  // why its last drill failed
};

// Only their owner can read artifacts, so somebody else's directory counts as unreadable even where
// it can be listed.
bool may_read_backups(const std::string& path);

// `file` is what the request's reference means, where it has one.
Evidence ask_directory(run::Session& session, const GateRequest& request,
                       const std::optional<FileReference>& file);
Evidence ask_proof(const run::Session& session, const GateRequest& request,
                   const std::optional<FileReference>& file);

}  // namespace bba::commands
