// Restores a dump of MariaDB or MySQL, and checks what has to be there afterwards.
#pragma once

#include "bba/service/service.hpp"
#include "server.hpp"

namespace bba::services::mariadb {

// How the server was reached when it was backed up, as the manifest's facts have it, but as root:
// only root can bring everything back. The password is the target's own.
Connection restoring_connection(const Json& facts);

// Ends with exit code 0 once the server answers, whoever asks. Over TCP: the server that the image
// runs while it sets itself up listens on the socket only.
wire::ExecConfig ready(const Json& facts);

service::FreshTarget fresh_server();
service::Restore restore_dump(const store::Manifest& manifest, const store::ArtifactRecord& record);
// Checks that the target holds the tables with their rows, the views, routines, events, triggers
// and sequences of the record, and that its accounts may do what those of the backup could. Throws
// Error{artifact} at the first thing that differs.
void compare_databases(service::RestoreTarget& target);

}  // namespace bba::services::mariadb
