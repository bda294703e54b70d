// The container that a set was taken of, as it is today.
#pragma once

#include "bba/run/session.hpp"
#include "bba/store/manifest.hpp"

namespace bba::commands {

// The container that was backed up or, where it was made anew since, its namesake. Throws
// Error{container} where neither is on this engine.
wire::Container live_container(run::Session& session, const store::ContainerRecord& record);

}  // namespace bba::commands
