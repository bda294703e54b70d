// What a server that was started on a restored directory has to hold.
#pragma once

#include "bba/service/restore.hpp"

namespace bba::services::redis {

// Starts a server on the directory that was put back: it has to hold as many keys as the one that
// was backed up had around its save. Throws Error{artifact} where it does not.
void compare_keyspace(service::RestoreTarget& target);

// Throws Error{container} where the server takes its data from another one.
void require_master(service::RestoreTarget& target);

// Whether a server answers that has a key in each database in which the backup has keys that do not
// expire. False while it does not answer, or loads its data; throws Error{capture} where it lacks
// one.
bool has_keyspace(service::RestoreTarget& target);

}  // namespace bba::services::redis
