// Class E, everything else, and class F, engines whose own dump is not proven: the mounted data as
// archives, taken while every container that writes to it is held still.
#pragma once

#include <string>

#include "bba/classes/mounts.hpp"

namespace bba::classes {

// `capture` as the fallback of its class: the reason stands in the manifest and is warned of.
Capture as_fallback(Capture capture, const std::string& reason);

// Class G: the compose project's directory on this host, and the mounted data. Throws Error{config}
// where nobody says where the directory is.
Capture compose_project(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted);

// What all archive strategies share: parts, who is held still, how. `running` lists the engine's
// containers. Throws Error{container} where there is nothing to archive.
Capture mounted_archive(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted);

// The directory that the archive of `path` is unpacked in: its entries begin with the last
// component.
std::string parent_of(const std::string& path);

}  // namespace bba::classes
