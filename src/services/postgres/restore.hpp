// Restores a dump of PostgreSQL, and checks what has to be there afterwards.
#pragma once

#include "bba/service/service.hpp"
#include "server.hpp"

namespace bba::services::postgres {

// How the server was reached when it was backed up, as the manifest's facts have it, but as the
// cluster's bootstrap superuser: only that one can bring everything back.
Identity restoring_identity(const Json& facts);

service::FreshTarget fresh_cluster(const wire::Container& live, const Json& facts);
service::Restore restore_dump(const store::Manifest& manifest, const store::ArtifactRecord& record);
// Checks that the target holds the databases, extensions, rows and large objects of the record.
// Throws Error{artifact} at the first thing that differs.
void compare_databases(service::RestoreTarget& target);

}  // namespace bba::services::postgres
