// The public proof of a set, published or withdrawn by the commands that judge it.
#pragma once

#include <string>

#include "bba/run/session.hpp"
#include "bba/store/proof.hpp"

namespace bba::commands {

// What a command does once it has proven the set of `manifest_file`: where that is the newest of
// its module in the directory that backups go to, its proof is published, or withdrawn where its
// last drill failed, or where a manifest that cannot be read may be that of a newer set. A proof
// that cannot be written is a warning: the backup is as good without.
void publish_proof(run::Session& session, const store::OwnedDirectory& directory,
                   const std::string& manifest_file);
// What it does once it has found the set broken, or removed it: its proof is withdrawn.
void withdraw_proof(run::Session& session, const store::OwnedDirectory& directory,
                    const std::string& manifest_file);

}  // namespace bba::commands
