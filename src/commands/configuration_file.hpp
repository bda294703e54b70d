// The file of a set that holds what it takes to make the container again.
#pragma once

#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"
#include "bba/wire/message.hpp"

namespace bba::commands {

// The container that it holds, as it was when the backup was taken. Throws Error{artifact} where
// the file is not the one that the manifest means, or is of another container.
wire::Container read_configuration(const store::OwnedDirectory& directory,
                                   const store::Manifest& manifest);

}  // namespace bba::commands
