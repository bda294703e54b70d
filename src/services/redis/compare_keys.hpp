// Whether a restored Redis holds as many keys as the one that was backed up had around its save.
#pragma once

#include <string>
#include <vector>

#include "bba/base/json.hpp"

namespace bba::services::redis {

struct KeyVerdict {
  std::string lost;                     // what is missing, or too much; empty where nothing is
  std::vector<std::string> not_proven;  // what is not known, as the server was busy
};

// `around`: ArtifactRecord::found.keyspace, how many keys each database had before the save and
// once the archive was read at the latest. `restored`: the same of the server that was started on
// the restored directory. Keys that expire may have done so since; of all others there have to be
// as many as there were, on a busy server between as many as at the one moment and at the other.
KeyVerdict compare_keys(const Json& around, const Json& restored);

// The first database that had keys without a time to live at both moments, and has no key now;
// empty where there is none.
std::string missing_database(const Json& around, const Json& now);

}  // namespace bba::services::redis
