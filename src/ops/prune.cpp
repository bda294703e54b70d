#include "bba/ops/prune.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/ops/backup.hpp"
#include "bba/ops/proof.hpp"
#include "bba/ops/verify.hpp"
#include "bba/store/lock.hpp"

namespace bba::ops {

namespace {

using Sets = std::vector<const store::BackupSet*>;

// Which sets go, and why the others stay.
class Decision {
 public:
  Decision(Session& session, const store::BackupDirectory& directory,
           const store::Catalogue& catalogue, const PruneRequest& request)
      : session_(session), directory_(directory), request_(request) {
    for (const store::BackupSet& set : catalogue.sets) {
      by_file_[set.manifest_file] = &set;
      by_module_[set.manifest.module].push_back(&set);
    }
    for (const auto& [module, sets] : by_module_) keep_by_rule(sets);
    for (const auto& [module, sets] : by_module_) keep_with_members(sets);
    // What is not looked at is not read either.
    for (const auto& [module, sets] : by_module_) {
      if (is_touched(sets)) keep_newest_good(sets);
    }
    if (!request.force) keep_broken();
    for (const auto& [module, sets] : by_module_) keep_with_members(sets);
  }

  // Why a set stays; nullptr where it goes.
  const std::string* kept(const store::BackupSet& set) const {
    const auto found = kept_.find(set.manifest_file);
    return found == kept_.end() ? nullptr : &found->second;
  }

  // Sets that only go together: one that was taken with others is nothing without them.
  Sets group(const store::BackupSet& set) const {
    Sets all{&set};
    for (const std::string& file : set.manifest.members) {
      const auto other = by_file_.find(file);
      if (other != by_file_.end()) all.push_back(other->second);
    }
    return all;
  }

 private:
  bool is_asked_for(const store::BackupSet& set) const {
    return request_.module.empty() || set.manifest.module == request_.module;
  }

  void keep(const store::BackupSet& set, std::string why) {
    kept_.emplace(set.manifest_file, std::move(why));
  }

  void keep_by_rule(const Sets& sets) {
    std::size_t counted = 0;
    for (const store::BackupSet* set : sets) {
      // What lacks an artifact must not push a complete one out of the last few.
      if (request_.keep_last && set->missing.empty() && counted++ < *request_.keep_last) {
        keep(*set, fmt::format("one of the last {}", *request_.keep_last));
      } else if (request_.keep_within &&
                 request_.at - set->manifest.started <= *request_.keep_within) {
        keep(*set, fmt::format("not older than {}", format_duration(*request_.keep_within)));
      }
    }
  }

  void keep_with_members(const Sets& sets) {
    for (const store::BackupSet* set : sets) {
      const Sets all = group(*set);
      const auto stays = std::find_if(all.begin(), all.end(),
                                      [&](const auto* one) { return kept(*one) != nullptr; });
      if (stays != all.end()) keep(*set, "one set with " + (*stays)->manifest_file);
      const bool asked =
          std::any_of(all.begin(), all.end(), [&](const auto* one) { return is_asked_for(*one); });
      if (!asked) keep(*set, "of another module");
    }
  }

  bool is_touched(const Sets& sets) const {
    return std::any_of(sets.begin(), sets.end(),
                       [&](const auto* set) { return kept(*set) == nullptr; });
  }

  void keep_newest_good(const Sets& sets) {
    for (const store::BackupSet* set : sets) {
      if (!fault(*set).empty()) continue;
      keep(*set, "the newest good one");
      return;
    }
  }

  void keep_broken() {
    for (const auto& [file, set] : by_file_) {
      if (kept(*set) == nullptr && !fault(*set).empty()) {
        keep(*set, "it fails verify, and only --force removes such: " + fault(*set));
      }
    }
  }

  // What verify finds; each set is read once.
  const std::string& fault(const store::BackupSet& set) {
    const auto known = faults_.find(set.manifest_file);
    if (known != faults_.end()) return known->second;
    const SetVerdict verdict = verify_set(session_, directory_, set);
    return faults_.emplace(set.manifest_file, verdict.first_broken()).first->second;
  }

  Session& session_;
  const store::BackupDirectory& directory_;
  const PruneRequest& request_;
  std::map<std::string, const store::BackupSet*> by_file_;
  std::map<std::string, Sets> by_module_;
  std::map<std::string, std::string> kept_;
  std::map<std::string, std::string> faults_;
};

// A manifest can have been edited: what it names is removed only where the name is the set's own.
bool is_own_file(const store::BackupSet& set, const std::string& file) {
  const auto own = store::parse_name(set.manifest_file);
  const auto parsed = store::parse_name(file);
  return own && parsed && parsed->module == own->module && parsed->time == own->time;
}

void remove_group(const store::BackupDirectory& directory, const Sets& group,
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
    for (const store::ArtifactRecord& artifact : set->manifest.artifacts) {
      if (!is_own_file(*set, artifact.file) || !directory.contains(artifact.file)) continue;
      directory.remove(artifact.file);
      request.removed(artifact.file);
    }
  }
  directory.sync();
}

// Those of a group, too, that are of other modules.
std::vector<store::ModuleLock> lock_modules(const Session& session, const PruneRequest& request,
                                            const store::Catalogue& catalogue) {
  std::set<std::string> modules;
  for (const store::BackupSet& set : catalogue.sets) {
    if (!request.module.empty() && set.manifest.module != request.module) continue;
    modules.insert(set.manifest.module);
    for (const std::string& member : set.manifest.members) {
      if (const auto parsed = store::parse_name(member)) modules.insert(parsed->module);
    }
  }
  std::vector<store::ModuleLock> locks;
  for (const std::string& module : modules) {
    locks.emplace_back(session.settings.state_dir, module);
  }
  return locks;
}

std::uint64_t stored_bytes(const store::Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const store::ArtifactRecord& artifact : manifest.artifacts) sum += artifact.bytes;
  return sum;
}

void require_sense(const PruneRequest& request) {
  if (!request.keep_last && !request.keep_within) {
    throw Error(ErrorKind::usage, "nothing says which sets are to be kept",
                "give --keep-last N, --keep-within SPAN, or both: what one of them keeps is kept");
  }
  if (!request.module.empty() && !valid_module_id(request.module)) {
    throw Error(ErrorKind::config, fmt::format("'{}' is no module id", request.module));
  }
}

}  // namespace

Pruning prune(Session& session, const PruneRequest& request) {
  require_sense(request);
  Pruning pruning;
  pruning.dry_run = request.dry_run;
  const auto directory = store::BackupDirectory::open_existing(session.settings.backup_dir);
  std::vector<store::ModuleLock> locks;
  if (!request.dry_run) {
    locks = lock_modules(session, request, store::read_catalogue(directory));
    pruning.needs_hand = recover_first(session);
  }
  // Again, now that nobody else changes it.
  const store::Catalogue catalogue = store::read_catalogue(directory);
  const Decision decision(session, directory, catalogue, request);

  std::set<std::string> gone;
  for (const store::BackupSet& set : catalogue.sets) {
    const std::string* kept = decision.kept(set);
    const bool asked = request.module.empty() || set.manifest.module == request.module;
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
    if (kept != nullptr && !asked) continue;
    pruning.sets.push_back({set.manifest.module, set.manifest.module_class, set.manifest.started,
                            set.manifest_file, stored_bytes(set.manifest), kept != nullptr,
                            kept != nullptr ? *kept : "older than all that is to be kept"});
  }
  return pruning;
}

std::string pruning_text(const Pruning& pruning) {
  const std::string_view goes = pruning.dry_run ? "would go" : "removed";
  std::string text;
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (const PrunedSet& set : pruning.sets) {
    text += fmt::format("{:<8}  {}  {:>10}  {}\n", set.kept ? "kept" : goes, set.manifest_file,
                        format_bytes(set.bytes), printable(set.why));
    if (set.kept) continue;
    bytes += set.bytes;
    ++count;
  }
  return text +
         fmt::format("{} set{} {}, {}\n", count, count == 1 ? "" : "s", goes, format_bytes(bytes));
}

Json pruning_json(const Pruning& pruning) {
  Json sets = Json::array();
  for (const PrunedSet& set : pruning.sets) {
    sets.push_back({{"module", set.module},
                    {"class", set.module_class},
                    {"started", format_rfc3339(set.started)},
                    {"manifest", set.manifest_file},
                    {"bytes", set.bytes},
                    {"kept", set.kept},
                    {"why", set.why}});
  }
  return {{"dry_run", pruning.dry_run}, {"sets", std::move(sets)}};
}

}  // namespace bba::ops
