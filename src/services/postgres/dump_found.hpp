// What a dump of PostgreSQL holds, in the words of the manifest (docs/manifest.md): counted as the
// dump passes, so it is exact whatever else the server does meanwhile.
#pragma once

#include "bba/base/json.hpp"
#include "dump_check.hpp"

namespace bba::services::postgres {

// ArtifactRecord::found of an sql artifact.
Json dump_found(const DumpCheck& check);

}  // namespace bba::services::postgres
