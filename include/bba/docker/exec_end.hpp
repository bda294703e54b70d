// Ends a program that was started by exec. The Docker Engine has no call for it and lets the
// program run on when its client goes away, but it reports the program's pid on this host.
#pragma once

#include <string>

#include "bba/docker/engine.hpp"

namespace bba::docker {

// SIGTERM to all that the program has started and to itself, SIGKILL after three seconds. True
// where all of it has ended; false where something may still run: the pid is not one of that
// container's on this host (the engine is elsewhere), or a process without a parent does not heed
// SIGTERM and is not killed, because the container's first process could take that for a crash of
// its own.
bool end_exec(docker::Engine& engine, const std::string& exec);

// Engine::run; ends the program where the wait for it is given up: a client whose server is frozen
// would stay in the container for ever.
docker::ExecResult run_or_end(docker::Engine& engine, const std::string& container,
                              const wire::ExecConfig& config, std::size_t output_limit = 4 << 20);

}  // namespace bba::docker
