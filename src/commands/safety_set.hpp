// A safety set: the present state of a service, taken by the ordinary capture right before a
// restore in place, which has no other copy of it.
#pragma once

#include <string>

#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/service/capture.hpp"
#include "bba/store/manifest.hpp"

namespace bba::commands {

// The capture that takes it, of this very container and by the class that `manifest` was taken by.
// Only reads. Throws Error{container} where there could only be a fallback, which a restore in
// place could not bring back.
service::Capture plan_safety_set(run::Session& session, const store::Manifest& manifest,
                                 const wire::Container& live);

// Takes it, and returns its manifest's file. Whoever calls this holds the module's lock.
std::string take_safety_set(run::Session& session, run::Cleanup& cleanup,
                            const service::Capture& capture);

}  // namespace bba::commands
