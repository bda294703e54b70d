// Ends a program that was started by exec. The Docker Engine has no call for it and lets the
// program run on when its client goes away, but it tells the program's pid on this host.
#pragma once

#include <string>

#include "bba/docker/engine.hpp"

namespace bba::ops {

// SIGTERM to the program and all that it has started, SIGKILL after two seconds. True where it has
// ended; false where it may still run (the pid is not one of that container's on this host: the
// engine is elsewhere).
bool end_exec(docker::Engine& engine, const std::string& exec);

}  // namespace bba::ops
