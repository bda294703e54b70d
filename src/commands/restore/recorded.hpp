// What a rollback needs of the container that was backed up.
#pragma once

#include <optional>

#include "bba/run/session.hpp"
#include "commands/set_reference.hpp"

namespace bba::commands {

// The container as the set recorded it, where the present one has another image or configuration;
// nullopt where it has not. Throws Error{container} where the set holds no configuration, or its
// image is not on this engine.
std::optional<wire::Container> recorded_if_other(run::Session& session, const ChosenSet& chosen,
                                                 const wire::Container& present);

// A compose file that keeps `docker compose up` from bringing other images back; empty where
// Compose made none of the containers.
std::string compose_override(const std::vector<store::ContainerRecord>& containers);

}  // namespace bba::commands
