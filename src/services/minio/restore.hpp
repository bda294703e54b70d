// Restores a server's objects: they are copied into the target's container, and put back by the mc
// that is in it.
#pragma once

#include <string>

#include "bba/service/restore_steps.hpp"

namespace bba::services::minio {

// Where the objects lie in a scratch container.
inline const std::string restored_objects = std::string(service::scratch_place) + "/objects";

service::Restore restore_objects(const store::Manifest& manifest,
                                 const store::ArtifactRecord& record);

}  // namespace bba::services::minio
