// The guard: this program once more, in a session of its own, that outlives whatever kills the run
// and then does the run's cleanup. The run holds a lock on its journal (flock) as long as it lives;
// the guard waits for it.
#pragma once

#include <string>

namespace bba::run {

// Starts the guard of the run that holds `journal`. Throws Error{internal}.
void start_guard(const std::string& state_directory, const std::string& journal);

// The guard process (`backup-before-apply __guard STATE_DIR JOURNAL`): waits until the
// run has ended and undoes what its journal still has, and those of other dead runs.
int guard_main(const std::string& state_directory, const std::string& journal);

}  // namespace bba::run
