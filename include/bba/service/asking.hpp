// What services share when they ask their server something, or say that they could not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/service/service.hpp"

namespace bba::service {

// Throws Error{container} where the target's container does not run, with `why` it has to, and what
// can be done `otherwise`: "take its files as they are ...".
void require_running(const Target& target, const std::string& why, std::string_view otherwise);

// The value of the first of `names` that a container's environment holds, itself or as a file
// (NAME_FILE), which is read by `cat` in it.
std::optional<std::string> container_secret(docker::Engine& engine,
                                            const wire::Container& container,
                                            const std::vector<std::string>& names,
                                            Reporter& reporter);
std::optional<std::string> container_secret(const PlanInputs& inputs,
                                            const std::vector<std::string>& names);

// To follow the name of a missing variable, which may have been set before sudo.
std::string dropped_by_sudo(const PlanInputs& inputs, const std::string& name);

// The note that audit makes of a server that does not run: what is not up cannot be asked.
Readiness stopped_server(const ReadinessInputs& inputs, Ready ready);
// The note that audit makes where a variable is missing and the files are taken instead.
void note_fallback(Readiness& readiness, std::string_view without);

}  // namespace bba::service
