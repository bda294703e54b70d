// Class E, everything else, and class F, engines whose own dump is not proven: the mounted data as
// archives, taken while every container that writes to it is held still.
#pragma once

#include <string>

#include "bba/service/mounts.hpp"

namespace bba::classes {

// `capture` as the fallback of its class: the reason stands in the manifest and is warned of.
Capture as_fallback(Capture capture, const std::string& reason);

// Class G: where the compose project's directory is, by the configuration or the container's label.
// Throws Error{config} where nobody says so.
std::string compose_root(const Target& target);
// Class G: that directory on this host, and the mounted data. Links in it and in the mounts'
// sources are to be followed before.
Capture compose_project(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted);

// Leaves out of class G's directory what other containers that are up write in it: read under their
// hands it would be torn, and it is their modules' data. `all` is to have directories as mounts.
void leave_out_neighbours(Capture& capture, const std::vector<wire::ContainerSummary>& all);

// What all archive strategies share: parts, who is held still, how. `running` lists the engine's
// containers. Throws Error{container} where there is nothing to archive.
Capture mounted_archive(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted);

// The directory that the archive of `path` is unpacked in: its entries begin with the last
// component.
std::string parent_of(const std::string& path);

}  // namespace bba::classes
