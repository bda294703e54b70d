// `restore --in-place`, and its undo: for services that take their data through their own programs.
#pragma once

#include <string>
#include <vector>

#include "bba/commands/restore.hpp"

namespace bba::commands {

// Whether the request is of a restore in place: it says so, or the newest restore that it is to
// undo was one.
bool is_in_place(const run::Session& session, const RestoreRequest& request);

// What would be done. Throws what restore_in_place() would throw before it touches anything.
RestorePlan plan_in_place(run::Session& session, const RestoreRequest& request);

// Whoever calls it holds the module's lock. Throws with the service as it was, or Error{unfinished}
// where it may have something between: then `--undo` brings back what it had.
RestoreResult restore_in_place(run::Session& session, const RestoreRequest& request,
                               RestoreResult result);

// Throws Error{unfinished} where a restore in place of one of the modules, whose locks the caller
// holds, was broken off: what the service has is no state to rely on.
void require_no_broken_restore(run::Session& session, const std::vector<std::string>& modules);

}  // namespace bba::commands
