// The second that names a set.
#pragma once

#include <string>
#include <vector>

#include "bba/run/session.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::commands {

// Waits where a set of one of the modules has the present second already: names are never reused.
Timestamp set_second(const run::Session& session, const store::OwnedDirectory& directory,
                     const std::vector<std::string>& modules);

}  // namespace bba::commands
