// `backup`: recover, lock, capture, publish; one set for each module.
#pragma once

#include <string>
#include <vector>

#include "bba/commands/plan.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/store/manifest.hpp"

namespace bba::commands {

struct BackupResult {
  std::vector<store::Manifest> sets;
  std::vector<std::string> needs_hand;  // the backup is good, but somebody must look at this
};

// What its manifest alone says that somebody must look at: the set is a fallback, or something is
// known not to be in it.
std::vector<std::string> needs_hand_of(const store::Manifest& manifest);

// Backs up what one request asks for: a module, or a sidecar-bound module's companions as one set,
// all or nothing.
BackupResult backup(run::Session& session, const BackupRequest& request,
                    pipe::Compression compression);

// Puts right what dead runs left, and tells. True where something is left that needs a hand. Throws
// Error{unfinished} where that is a restore.
bool recover_first(run::Session& session);

}  // namespace bba::commands
