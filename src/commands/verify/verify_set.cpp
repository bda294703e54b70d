// Proves a set whole: what its manifest says, then each of its artifacts.
#include "verify_set.hpp"

#include "bba/store/proof.hpp"
#include "manifest_fault.hpp"
#include "verify_artifact.hpp"

namespace bba::commands {

SetVerdict unjudged(const store::BackupSet& set) {
  SetVerdict verdict;
  static_cast<SetHead&>(verdict) = head_of(set);
  verdict.manifest_sha256 = store::manifest_sha256(set);
  return verdict;
}

SetVerdict verify_set(run::Session& session, const store::OwnedDirectory& directory,
                      const store::BackupSet& set) {
  SetVerdict verdict = unjudged(set);
  try {
    verdict.broken = manifest_fault(directory, set);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::artifact) throw;
    verdict.broken = error.what();
  }
  for (const store::ArtifactRecord& record : set.manifest.artifacts) {
    verdict.artifacts.push_back(verify_artifact(session, directory, set.manifest, record));
  }
  return verdict;
}

}  // namespace bba::commands
