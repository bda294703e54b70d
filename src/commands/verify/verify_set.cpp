// Proves a set whole: what its manifest says, then each of its artifacts.
#include "verify_set.hpp"

#include "bba/store/proof.hpp"
#include "manifest_fault.hpp"
#include "verify_artifact.hpp"

namespace bba::commands {

SetVerdict head_of(const store::BackupSet& set) {
  SetVerdict verdict;
  verdict.module = set.manifest.module;
  verdict.module_class = set.manifest.module_class;
  verdict.strategy = set.manifest.strategy;
  verdict.fallback = set.manifest.fallback;
  verdict.changed_while_read = store::changed_while_read(set.manifest);
  verdict.incomplete = set.manifest.incomplete;
  verdict.started = set.manifest.started;
  verdict.manifest_file = set.manifest_file;
  verdict.manifest_sha256 = store::manifest_sha256(set);
  return verdict;
}

SetVerdict verify_set(run::Session& session, const store::OwnedDirectory& directory,
                      const store::BackupSet& set) {
  SetVerdict verdict = head_of(set);
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
