// What a dump of MariaDB or MySQL holds, in the words of the manifest (docs/services/mariadb.md):
// counted as the dump passes, so it is exact whatever else the server does meanwhile.
#pragma once

#include "bba/base/json.hpp"
#include "dump_check.hpp"

namespace bba::services::mariadb {

// ArtifactRecord::found of a dump.
Json dump_found(const DumpCheck& check);

}  // namespace bba::services::mariadb
