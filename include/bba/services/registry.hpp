// Asks a service what it is and what it allows, and makes the class's Capture from the answers.
// Only reads.
#pragma once

#include <vector>

#include "bba/service/capture.hpp"
#include "bba/run/session.hpp"

namespace bba::ops {

// The Capture of the target's class. `all` is the engine's containers, for those that share its
// data.
classes::Capture ask_service(Session& session, const classes::Target& target,
                             const std::vector<wire::ContainerSummary>& all,
                             classes::Consistency wanted);

}  // namespace bba::ops
