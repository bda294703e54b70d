// What has to hold before a restore touches anything.
#pragma once

#include <cstdint>
#include <map>

#include "bba/commands/restore.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

// Each artifact of the set with the mount of `container` that it goes to: of the present one or, in
// a rollback, of the one that was recorded. Throws Error{container} where one of them cannot be
// exchanged.
std::vector<restore::RestorePart> restore_parts(run::Session& session, const store::BackupSet& set,
                                                const wire::Container& container,
                                                const wire::Container& present);

// Throws Error{container} where a volume or a directory is gone that the container has mounted: the
// engine would make an empty one in its place.
void require_mounts(run::Session& session, const wire::Container& container);

// Throws Error{storage} where the file systems of the parts have no room for a second copy.
// `wanted` has what other sets want there, bytes by device, and gets what this one wants.
void require_room_beside(const store::Manifest& manifest,
                         const std::vector<restore::RestorePart>& parts,
                         std::map<std::uint64_t, std::uint64_t>& wanted);

// Throws Error{storage} where the journal would not outlive a power loss.
void require_lasting_state(const std::string& state_directory);

}  // namespace bba::commands
