// The configuration and secrets that the live container has from outside of its image.
#pragma once

#include "bba/restore/scratch.hpp"

namespace bba::restore {

// Fresh volumes for what a live container keeps its data in.
std::vector<service::FreshVolume> data_volumes(const wire::Container& live);

// Copies what the live container has from outside of its image and is not data into a scratch
// container that is not started yet; nothing at or below `without`.
void lend_configuration(const ScratchContext& context, const std::string& scratch,
                        const std::vector<std::string>& without);

}  // namespace bba::restore
