// Keeps what the rules ask for, what belongs to a kept set, the newest good set, and what is
// broken.
#include "decision.hpp"

#include <algorithm>

#include "asked_for.hpp"
#include "bba/base/text.hpp"
#include "bba/run/in_place_state.hpp"
#include "bba/store/proof.hpp"
#include "commands/verify/verify_set.hpp"

namespace bba::commands {

Decision::Decision(run::Session& session, const store::OwnedDirectory& directory,
                   const store::Catalogue& catalogue, const PruneRequest& request)
    : session_(session), directory_(directory), request_(request) {
  for (const store::BackupSet& set : catalogue.sets) {
    by_file_[set.manifest_file] = &set;
    by_module_[set.manifest.module].push_back(&set);
  }
  keep_for_undo();
  for (const auto& [module, sets] : by_module_) keep_by_rule(sets);
  for (const auto& [module, sets] : by_module_) keep_with_members(sets);
  // Sets of modules that lose none are not read.
  for (const auto& [module, sets] : by_module_) {
    if (is_touched(sets)) keep_newest_good(sets);
  }
  if (!request.force) keep_broken();
  for (const auto& [module, sets] : by_module_) keep_with_members(sets);
}

const std::string* Decision::kept(const store::BackupSet& set) const {
  const auto found = kept_.find(set.manifest_file);
  return found == kept_.end() ? nullptr : &found->second;
}

Sets Decision::group(const store::BackupSet& set) const {
  Sets all{&set};
  for (const std::string& file : set.manifest.members) {
    const auto other = by_file_.find(file);
    if (other != by_file_.end()) all.push_back(other->second);
  }
  return all;
}

void Decision::keep(const store::BackupSet& set, std::string why) {
  kept_.emplace(set.manifest_file, std::move(why));
}

// The clock was wrong when it was taken, or is now. So it may be old, and must not push out those
// that are known to be new.
bool Decision::is_of_the_future(const store::BackupSet& set) const {
  return set.manifest.started > request_.at;
}

// Taken with others of which some are gone, as a killed prune leaves it: alone it is not a
// backup.
bool Decision::is_torn(const store::BackupSet& set) const {
  const auto& members = set.manifest.members;
  return std::any_of(members.begin(), members.end(),
                     [&](const std::string& file) { return !directory_.contains(file); });
}

bool Decision::is_complete(const store::BackupSet& set) const {
  return set.missing.empty() && !is_torn(set);
}

void Decision::keep_by_rule(const Sets& sets) {
  std::size_t counted = 0;
  for (const store::BackupSet* set : sets) {
    if (is_of_the_future(*set)) {
      keep(*set, "dated in the future: when it was taken is not known");
    } else if (request_.keep_last && is_complete(*set) && counted < *request_.keep_last) {
      // A safety set takes no backup's place.
      const bool is_backup = !store::is_safety_set(set->manifest);
      if (is_backup) ++counted;
      keep(*set, fmt::format("{}one of the last {}", is_backup ? "" : "newer than ",
                             *request_.keep_last));
    } else if (request_.keep_within &&
               request_.at - set->manifest.started <= *request_.keep_within) {
      keep(*set, fmt::format("not older than {}", format_duration(*request_.keep_within)));
    }
  }
}

// The state before the newest restore in place of a module is nowhere else.
void Decision::keep_for_undo() {
  for (const run::InPlaceState& state : run::in_place_states(session_.settings.state_dir)) {
    const auto set = by_file_.find(state.safety_set);
    if (set == by_file_.end()) continue;
    keep(*set->second, fmt::format("what `restore {} --undo` brings back", state.module));
  }
}

void Decision::keep_with_members(const Sets& sets) {
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

bool Decision::is_touched(const Sets& sets) const {
  return std::any_of(sets.begin(), sets.end(),
                     [&](const auto* set) { return kept(*set) == nullptr; });
}

void Decision::keep_newest_good(const Sets& sets) {
  const auto keep_first = [&](bool disproved, const char* why) {
    for (const store::BackupSet* set : sets) {
      if (is_of_the_future(*set) || store::failed_drill(*set).has_value() != disproved) continue;
      if (store::is_safety_set(set->manifest)) continue;
      if (!fault(*set).empty()) continue;
      keep(*set, why);
      return true;
    }
    return false;
  };
  if (keep_first(false, "the newest good one")) return;
  keep_first(true, "the newest that passes verify, though its drill failed");
}

void Decision::keep_broken() {
  for (const auto& [file, set] : by_file_) {
    if (kept(*set) == nullptr && !is_torn(*set) && !fault(*set).empty()) {
      keep(*set, "it fails verify, and only --force removes it: " + fault(*set));
    }
  }
}

// What verify finds; each set is read once.
const std::string& Decision::fault(const store::BackupSet& set) {
  const auto known = faults_.find(set.manifest_file);
  if (known != faults_.end()) return known->second;
  const SetVerdict verdict = verify_set(session_, directory_, set);
  return faults_.emplace(set.manifest_file, verdict.first_broken()).first->second;
}

}  // namespace bba::commands
