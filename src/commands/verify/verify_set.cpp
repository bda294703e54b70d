// Proves a set whole: what its manifest says, then each of its artifacts.
#include "verify_set.hpp"

#include "bba/store/proof.hpp"
#include "commands/configuration_file.hpp"
#include "manifest_fault.hpp"
#include "verify_artifact.hpp"

namespace bba::commands {

namespace {

ArtifactVerdict verify_configuration(const store::OwnedDirectory& directory,
                                     const store::Manifest& manifest) {
  const store::ConfigurationRecord& record = *manifest.container.configuration;
  ArtifactVerdict verdict;
  verdict.file = record.file;
  verdict.kind = "container";
  verdict.bytes = record.bytes;
  try {
    const wire::Container container = read_configuration(directory, manifest);
    verdict.holds = "container: the configuration of " + container.name;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::artifact) throw;
    verdict.broken = error.what();
  }
  return verdict;
}

}  // namespace

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
  if (set.manifest.container.configuration) {
    verdict.artifacts.push_back(verify_configuration(directory, set.manifest));
  }
  return verdict;
}

}  // namespace bba::commands
