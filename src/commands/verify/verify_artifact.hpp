// One artifact, read once from its first byte to its last.
#pragma once

#include "bba/commands/verify/verdict.hpp"
#include "bba/run/session.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"

namespace bba::commands {

// Throws only where there is no verdict: a request to stop, a file that may not be read.
ArtifactVerdict verify_artifact(run::Session& session, const store::OwnedDirectory& directory,
                                const store::Manifest& manifest,
                                const store::ArtifactRecord& record);

}  // namespace bba::commands
