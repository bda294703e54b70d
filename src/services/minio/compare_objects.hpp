// The objects are back as files: their content is what the server's listing promised, and where the
// image has the client beside the server, a fresh server takes them.
#pragma once

#include "bba/service/restore.hpp"

namespace bba::services::minio {

// Adds to target.report. Throws Error{artifact} at the first thing that differs.
void compare_objects(service::RestoreTarget& target);

}  // namespace bba::services::minio
