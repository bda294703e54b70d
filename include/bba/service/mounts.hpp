// Which mounts of a container hold data worth a backup, and which other containers write to them.
#pragma once

#include <string>
#include <vector>

#include "bba/service/capture.hpp"

namespace bba::classes {

// What a mount's source is on this host: asked by the caller, as nothing here does I/O.
enum class SourceKind { directory, file, other, unreachable };

// Every mount with the verdict and its reason, by destination. `sources` goes with `mounts`.
std::vector<MountChoice> choose_mounts(const std::vector<wire::Mount>& mounts,
                                       const std::vector<SourceKind>& sources);

// Where `paths` are archived instead of the mounts. An archive ends where something is mounted
// inside of it, so each taken mount below a path becomes a path of its own. A mount that a path
// lies in is taken, and one that no path touches is not, for the reason `otherwise`.
void narrow_to_paths(std::vector<std::string>& paths, std::vector<MountChoice>& mounts,
                     const std::string& otherwise);

// One archive for each taken mount, or for each of the configured paths instead. Part names come
// from the destinations; a single part has none.
std::vector<Part> archive_parts(const Target& target, const std::vector<MountChoice>& mounts);

// A name for artifact files from a path: "/var/lib/x y" -> "var-lib-x-y"; distinct from those in
// `taken`.
std::string part_name(const std::string& path, const std::vector<std::string>& taken);

// The containers that are up, the target's own included, and can write to one of the archived
// mounts: to be held still together (one that is paused already stays so). A bind counts where one
// source lies within the other.
std::vector<Quiesced> sharing_containers(const std::vector<wire::ContainerSummary>& all,
                                         const std::string& target_id,
                                         const std::vector<MountChoice>& mounts);

}  // namespace bba::classes
