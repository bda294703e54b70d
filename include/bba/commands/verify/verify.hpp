// `verify`: reads every byte of a set again and proves it whole, by its manifest and by its own
// format, with the same checks as `backup`. It needs no engine and no state, and works on a copy of
// the directory.
#pragma once

#include <string>

#include "bba/commands/verify/verdict.hpp"
#include "bba/run/session.hpp"

namespace bba::commands {

// `reference`: the path of an artifact (it alone is read) or of a manifest, else a module id: all
// of its sets in the backup directory. What passes has its public proof renewed, what fails loses
// it, where the directory is the one that backups go to.
Verification verify(run::Session& session, const std::string& reference);

}  // namespace bba::commands
