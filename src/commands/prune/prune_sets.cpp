// Removes the files of the sets that go: the proof first, then the manifest, then the artifacts.
#include "prune_sets.hpp"

#include <set>

#include "asked_for.hpp"
#include "commands/publish_proof.hpp"
#include "decision.hpp"

namespace bba::commands {

namespace {

// A manifest can have been edited: what it names is removed only where the name is the set's own.
bool is_own_file(const store::BackupSet& set, const std::string& file) {
  const auto own = store::parse_name(set.manifest_file);
  const auto parsed = store::parse_name(file);
  return own && parsed && parsed->module == own->module && parsed->time == own->time;
}

void remove_group(const store::OwnedDirectory& directory, const Sets& group,
                  const PruneRequest& request) {
  for (const store::BackupSet* set : group) {
    directory.remove(set->manifest_file);
    request.removed(set->manifest_file);
  }
  // No manifest may come back after a power loss that the artifacts did not survive.
  directory.sync();
  for (const store::BackupSet* set : group) {
    const auto own = store::parse_name(set->manifest_file);
    const std::string receipt = store::receipt_name(own->module, own->time);
    if (directory.contains(receipt)) {
      directory.remove(receipt);
      request.removed(receipt);
    }
    for (const std::string& file : store::set_files(set->manifest)) {
      if (!is_own_file(*set, file) || !directory.contains(file)) continue;
      directory.remove(file);
      request.removed(file);
    }
  }
  directory.sync();
}

std::uint64_t stored_bytes(const store::Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const store::ArtifactRecord& artifact : manifest.artifacts) sum += artifact.bytes;
  return sum;
}

}  // namespace

std::vector<PrunedSet> prune_sets(run::Session& session, const store::OwnedDirectory& directory,
                                  const store::Catalogue& catalogue, const PruneRequest& request) {
  const Decision decision(session, directory, catalogue, request);
  std::vector<PrunedSet> pruned;
  std::set<std::string> gone;
  for (const store::BackupSet& set : catalogue.sets) {
    const std::string* kept = decision.kept(set);
    if (kept == nullptr && !request.dry_run && !gone.contains(set.manifest_file)) {
      session.stop.throw_if_requested();
      const Sets group = decision.group(set);
      // The proof first: if this is killed, nobody is told of a set that is not there.
      for (const store::BackupSet* one : group) {
        gone.insert(one->manifest_file);
        withdraw_proof(session, directory, one->manifest_file);
      }
      remove_group(directory, group, request);
    }
    if (kept != nullptr && !is_asked_for(request, set.manifest.module)) continue;
    pruned.push_back({set.manifest.module, set.manifest.module_class, set.manifest.started,
                      set.manifest_file, stored_bytes(set.manifest), kept != nullptr,
                      kept != nullptr ? *kept : "older than all that is to be kept"});
  }
  return pruned;
}

}  // namespace bba::commands
