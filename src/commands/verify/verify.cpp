// `verify`: reads the sets that its reference means, and publishes or withdraws their proofs.
#include "bba/commands/verify/verify.hpp"

#include <algorithm>

#include "bba/store/manifest_checksum.hpp"
#include "commands/publish_proof.hpp"
#include "commands/set_reference.hpp"
#include "verify_artifact.hpp"
#include "verify_set.hpp"

namespace bba::commands {

namespace {

SetVerdict unreadable(const store::ParsedName& name, const std::string& file,
                      const std::string& why) {
  SetVerdict verdict;
  verdict.module = name.module;
  verdict.started = name.time;
  verdict.manifest_file = file;
  verdict.broken = why;
  return verdict;
}

void publish_or_withdraw(run::Session& session, const store::OwnedDirectory& directory,
                         const SetVerdict& verdict) {
  if (verdict.good()) {
    publish_proof(session, directory, verdict.manifest_file);
  } else {
    withdraw_proof(session, directory, verdict.manifest_file);
  }
}

Verification verify_file(run::Session& session, const FileReference& reference) {
  const store::ParsedName name = parsed_name(reference);
  const auto directory = store::OwnedDirectory::open_copy(reference.directory);
  const store::Catalogue catalogue = store::read_catalogue(directory, name.module);
  Verification verification;
  if (const store::Orphan* manifest = unreadable_manifest(catalogue, name)) {
    verification.sets.push_back(unreadable(name, manifest->file, manifest->why));
    withdraw_proof(session, directory, manifest->file);
    return verification;
  }
  const store::BackupSet& set = catalogue.sets[index_of_set(catalogue, reference)];
  const auto& artifacts = set.manifest.artifacts;
  const auto record =
      std::find_if(artifacts.begin(), artifacts.end(),
                   [&](const store::ArtifactRecord& one) { return one.file == reference.file; });
  if (record == artifacts.end() || artifacts.size() == 1) {
    verification.sets.push_back(verify_set(session, directory, set));
    publish_or_withdraw(session, directory, verification.sets.back());
    return verification;
  }
  SetVerdict verdict = unjudged(set);
  verdict.broken = store::checksum_error(set.manifest_text);
  verdict.artifacts.push_back(verify_artifact(session, directory, set.manifest, *record));
  // One artifact of several proves no set, but a broken one disproves it.
  if (!verdict.good()) withdraw_proof(session, directory, set.manifest_file);
  verification.sets.push_back(std::move(verdict));
  return verification;
}

Verification verify_module(run::Session& session, const std::string& module) {
  require_module(module);
  const auto directory = store::OwnedDirectory::open_copy(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, module);
  Verification verification;
  for (const store::BackupSet& set : catalogue.sets) {
    verification.sets.push_back(verify_set(session, directory, set));
    publish_or_withdraw(session, directory, verification.sets.back());
  }
  for (const store::Orphan& orphan : catalogue.orphans) {
    const auto name = store::parse_name(orphan.file);
    if (name && name->is_manifest()) {
      verification.sets.push_back(unreadable(*name, orphan.file, orphan.why));
      withdraw_proof(session, directory, orphan.file);
    } else {
      verification.notes.push_back(orphan.file + ": " + orphan.why);
    }
  }
  if (verification.sets.empty()) throw no_backup(module, directory);
  std::stable_sort(verification.sets.begin(), verification.sets.end(),
                   [](const SetVerdict& a, const SetVerdict& b) { return a.started > b.started; });
  return verification;
}

}  // namespace

Verification verify(run::Session& session, const std::string& reference) {
  const auto file = file_reference(session, reference);
  return file ? verify_file(session, *file) : verify_module(session, reference);
}

}  // namespace bba::commands
