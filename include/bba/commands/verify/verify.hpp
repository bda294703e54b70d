// `verify`: reads every byte of a set again and proves it whole, by its manifest and by its own
// format, with the same checks as `backup`. It needs no engine and no state, and works on a copy of
// the directory.
#pragma once

#include <string>

#include "bba/commands/verify/verdict.hpp"
#include "bba/run/session.hpp"

namespace bba::commands {

// `reference`: the path of an artifact (it alone is read) or of a manifest, else a module id: all
// of its sets in the backup directory. In the directory that backups go to, a set that passes gets
// a new public proof, and one that fails loses its own.
Verification verify(run::Session& session, const std::string& reference);

}  // namespace bba::commands
