// The condition that needs the engine: whether the image that was backed up is the one that runs.
#pragma once

#include <optional>

#include "bba/commands/gate/gate.hpp"

namespace bba::commands {

std::optional<Refusal> image_refusal(run::Session& session, const store::Proof& proof);

}  // namespace bba::commands
