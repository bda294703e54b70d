// One set: its manifest, and every artifact that it names.
#pragma once

#include "bba/commands/verify/verdict.hpp"
#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

// All artifacts of a set, each read once. Throws only where there is no verdict: a request to stop,
// files that may not be read.
SetVerdict verify_set(run::Session& session, const store::OwnedDirectory& directory,
                      const store::BackupSet& set);

// What a verdict says of the set before anything of it is judged.
SetVerdict unjudged(const store::BackupSet& set);

}  // namespace bba::commands
