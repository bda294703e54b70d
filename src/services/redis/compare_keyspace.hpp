// What a server that was started on a restored directory has to hold.
#pragma once

#include "bba/service/restore.hpp"

namespace bba::services::redis {

// Starts a server on the directory that was put back: it has to hold as many keys as the one that
// was backed up had around its save. Throws Error{artifact} where it does not.
void compare_keyspace(service::RestoreTarget& target);

}  // namespace bba::services::redis
