// Which mounts of a container hold data worth a backup, and which other containers write to them.
#pragma once

#include <string>
#include <vector>

#include "bba/service/capture.hpp"

namespace bba::service {

// Every mount with the verdict and its reason, by destination. `sources` goes with `mounts`: what
// each one's source is on this host.
std::vector<MountChoice> choose_mounts(const std::vector<wire::Mount>& mounts,
                                       const std::vector<tree::SourceKind>& sources);
// The mounts of a container, and what --tmpfs made in it, with what this host sees of them.
std::vector<MountChoice> mounts_of(const wire::Container& container);
// Follows the links in the sources of mounts, so that it shows which lies within which.
void resolve_sources(std::vector<wire::Mount>& mounts);

// The innermost mount of a container that holds a path and keeps data; nullopt where none does.
std::optional<wire::Mount> mount_holding(const wire::Container& container, const std::string& path);

// Where `paths` are archived instead of the mounts. An archive ends where something is mounted
// inside of it, so each taken mount below a path becomes a path of its own. A mount that a path
// lies in is taken, and one that no path touches is not, for the reason `otherwise`.
void narrow_to_paths(std::vector<std::string>& paths, std::vector<MountChoice>& mounts,
                     const std::string& otherwise);

// What is to be archived: each taken mount, or each of the target's configured paths instead.
std::vector<PathArchive> path_archives(const Target& target,
                                       const std::vector<MountChoice>& mounts);

// A name for artifact files from a path: "/var/lib/x y" -> "var-lib-x-y"; distinct from those in
// `taken`.
std::string part_name(const std::string& path, const std::vector<std::string>& taken);

// The containers that are up, the target's own included, and can write to one of the archived
// mounts: to be held still together (one that is paused already stays so). A bind counts where one
// source lies within the other.
std::vector<Quiesced> sharing_containers(const std::vector<wire::ContainerSummary>& all,
                                         const std::string& target_id,
                                         const std::vector<MountChoice>& mounts);

}  // namespace bba::service
