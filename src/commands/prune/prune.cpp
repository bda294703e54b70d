#include "bba/commands/prune/prune.hpp"

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/stat.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/commands/backup.hpp"
#include "bba/commands/verify/verify.hpp"
#include "bba/store/lock.hpp"
#include "bba/store/proof.hpp"
#include "commands/publish_proof.hpp"

namespace bba::commands {

namespace {

using Sets = std::vector<const store::BackupSet*>;

bool is_asked_for(const PruneRequest& request, const std::string& module) {
  return request.module.empty() || module == request.module;
}

// Empty for a dot-file: its name has none.
std::string module_of(const store::Orphan& orphan) {
  const auto parsed = store::parse_name(orphan.file);
  return parsed ? parsed->module : std::string();
}

// Which sets go, and why the others stay.
class Decision {
 public:
  Decision(run::Session& session, const store::OwnedDirectory& directory,
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
  void keep(const store::BackupSet& set, std::string why) {
    kept_.emplace(set.manifest_file, std::move(why));
  }

  // The clock was wrong when it was taken, or is now. So it may be old, and must not push out those
  // that are known to be new.
  bool is_of_the_future(const store::BackupSet& set) const {
    return set.manifest.started > request_.at;
  }

  // Taken with others of which some are gone, as a killed prune leaves it: alone it is not a
  // backup.
  bool is_torn(const store::BackupSet& set) const {
    const auto& members = set.manifest.members;
    return std::any_of(members.begin(), members.end(),
                       [&](const std::string& file) { return !directory_.contains(file); });
  }

  bool is_complete(const store::BackupSet& set) const {
    return set.missing.empty() && !is_torn(set);
  }

  void keep_by_rule(const Sets& sets) {
    std::size_t counted = 0;
    for (const store::BackupSet* set : sets) {
      if (is_of_the_future(*set)) {
        keep(*set, "of the future: when it was taken is not known");
      } else if (request_.keep_last && is_complete(*set) && counted++ < *request_.keep_last) {
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
      const bool asked = std::any_of(all.begin(), all.end(), [&](const auto* one) {
        return is_asked_for(request_, one->manifest.module);
      });
      if (!asked) keep(*set, "of another module");
    }
  }

  bool is_touched(const Sets& sets) const {
    return std::any_of(sets.begin(), sets.end(),
                       [&](const auto* set) { return kept(*set) == nullptr; });
  }

  void keep_newest_good(const Sets& sets) {
    const auto keep_first = [&](bool disproved, const char* why) {
      for (const store::BackupSet* set : sets) {
        if (is_of_the_future(*set) || store::failed_drill(*set).has_value() != disproved) continue;
        if (!fault(*set).empty()) continue;
        keep(*set, why);
        return true;
      }
      return false;
    };
    if (keep_first(false, "the newest good one")) return;
    keep_first(true, "the newest that passes verify, though its drill failed");
  }

  void keep_broken() {
    for (const auto& [file, set] : by_file_) {
      if (kept(*set) == nullptr && !is_torn(*set) && !fault(*set).empty()) {
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

  run::Session& session_;
  const store::OwnedDirectory& directory_;
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
    for (const store::ArtifactRecord& artifact : set->manifest.artifacts) {
      if (!is_own_file(*set, artifact.file) || !directory.contains(artifact.file)) continue;
      directory.remove(artifact.file);
      request.removed(artifact.file);
    }
  }
  directory.sync();
}

// The modules whose files may be removed: those of a group, too, that are of other modules.
std::set<std::string> modules_of(const PruneRequest& request, const store::Catalogue& catalogue) {
  std::set<std::string> modules;
  for (const store::BackupSet& set : catalogue.sets) {
    if (!is_asked_for(request, set.manifest.module)) continue;
    modules.insert(set.manifest.module);
    for (const std::string& member : set.manifest.members) {
      if (const auto parsed = store::parse_name(member)) modules.insert(parsed->module);
    }
  }
  for (const store::Orphan& orphan : catalogue.orphans) {
    const std::string module = module_of(orphan);
    if (request.orphans && !module.empty() && is_asked_for(request, module)) modules.insert(module);
  }
  return modules;
}

// The catalogue as it was read while every module of it was locked: what is in it stays as it is.
struct LockedCatalogue {
  store::Catalogue catalogue;
  std::map<std::string, store::ModuleLock> locks;
};

LockedCatalogue lock_catalogue(const run::Session& session, const store::OwnedDirectory& directory,
                               const PruneRequest& request) {
  LockedCatalogue locked;
  for (bool is_complete = false; !is_complete;) {
    locked.catalogue = store::read_catalogue(directory);
    is_complete = true;
    // A module's first backup may have come since.
    for (const std::string& module : modules_of(request, locked.catalogue)) {
      if (locked.locks.contains(module)) continue;
      locked.locks.try_emplace(module, session.settings.state_dir, module);
      is_complete = false;
    }
  }
  return locked;
}

bool has_rule(const PruneRequest& request) {
  return request.keep_last || request.keep_within;
}

std::uint64_t stored_bytes(const store::Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const store::ArtifactRecord& artifact : manifest.artifacts) sum += artifact.bytes;
  return sum;
}

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

// Why an orphan stays; empty where it goes.
std::string kept_orphan(const store::Orphan& orphan, const struct stat& status, Timestamp at) {
  if (!orphan.is_leftover) return "worth a look: " + orphan.why;
  // Copied from elsewhere, its manifest may be next.
  constexpr std::chrono::hours settled{1};
  const Timestamp changed{std::chrono::seconds(status.st_ctim.tv_sec)};
  if (at - changed < settled) return "not yet an hour here: " + orphan.why;
  return {};
}

// A run that lives cannot lose a file to this: it holds its module's lock from before the first
// artifact has a name until its manifest has one, and its dot-file as long as there is one.
std::vector<PrunedOrphan> prune_orphans(const run::Session& session,
                                        const store::OwnedDirectory& directory,
                                        const store::Catalogue& catalogue,
                                        const PruneRequest& request) {
  std::vector<PrunedOrphan> pruned;
  for (const store::Orphan& orphan : catalogue.orphans) {
    if (!is_asked_for(request, module_of(orphan))) continue;
    struct stat status {};
    if (::fstatat(directory.fd(), orphan.file.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const std::string why_kept = kept_orphan(orphan, status, request.at);
    pruned.push_back({orphan.file, static_cast<std::uint64_t>(status.st_size), !why_kept.empty(),
                      why_kept.empty() ? orphan.why : why_kept});
    if (!why_kept.empty() || request.dry_run) continue;
    session.stop.throw_if_requested();
    directory.remove(orphan.file);
    request.removed(orphan.file);
  }
  directory.sync();
  return pruned;
}

void require_sense(const PruneRequest& request) {
  if (!has_rule(request) && !request.orphans) {
    throw Error(ErrorKind::usage, "nothing says which sets are to be kept",
                "give --keep-last N, --keep-within SPAN, or both: what one of them keeps is kept; "
                "--orphans removes what killed runs left");
  }
  if (!request.module.empty() && !valid_module_id(request.module)) {
    throw Error(ErrorKind::config, fmt::format("'{}' is not a module id", request.module));
  }
}

}  // namespace

Pruning prune(run::Session& session, const PruneRequest& request) {
  require_sense(request);
  Pruning pruning;
  pruning.dry_run = request.dry_run;
  const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  LockedCatalogue locked;
  if (request.dry_run) {
    locked.catalogue = store::read_catalogue(directory);
  } else {
    pruning.needs_hand = recover_first(session);
    locked = lock_catalogue(session, directory, request);
  }
  if (has_rule(request)) pruning.sets = prune_sets(session, directory, locked.catalogue, request);
  if (request.orphans) {
    pruning.orphans = prune_orphans(session, directory, locked.catalogue, request);
  }
  return pruning;
}

std::string pruning_text(const Pruning& pruning) {
  const std::string_view goes = pruning.dry_run ? "would go" : "removed";
  std::string text;
  std::uint64_t bytes = 0;
  // How many of them go.
  const auto add_rows = [&](const auto& rows, auto file_of) {
    std::size_t count = 0;
    for (const auto& row : rows) {
      text += fmt::format("{:<8}  {}  {:>10}  {}\n", row.kept ? "kept" : goes, file_of(row),
                          format_bytes(row.bytes), printable(row.why));
      if (row.kept) continue;
      bytes += row.bytes;
      ++count;
    }
    return count;
  };
  const std::size_t sets =
      add_rows(pruning.sets, [](const auto& row) { return row.manifest_file; });
  const std::size_t orphans =
      add_rows(pruning.orphans, [](const auto& row) { return printable(row.file); });
  return text + fmt::format("{} set{}{} {}, {}\n", sets, sets == 1 ? "" : "s",
                            orphans == 0
                                ? ""
                                : fmt::format(" and {} orphan{}", orphans, orphans == 1 ? "" : "s"),
                            goes, format_bytes(bytes));
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
  Json orphans = Json::array();
  for (const PrunedOrphan& orphan : pruning.orphans) {
    orphans.push_back({{"file", orphan.file},
                       {"bytes", orphan.bytes},
                       {"kept", orphan.kept},
                       {"why", orphan.why}});
  }
  return {{"dry_run", pruning.dry_run}, {"sets", std::move(sets)}, {"orphans", std::move(orphans)}};
}

}  // namespace bba::commands
