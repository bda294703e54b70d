#include "choose_set.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/store/proof.hpp"
#include "commands/verify/verify_set.hpp"

namespace bba::commands {

namespace {

// Why a set is not taken unless it is named; empty where it may be.
std::string passed_over_because(const store::BackupSet& set) {
  if (store::is_safety_set(set.manifest)) {
    return "it is a safety set: what the service had right before a restore";
  }
  if (set.manifest.fallback) return "it is a fallback: " + *set.manifest.fallback;
  if (!set.manifest.incomplete.empty()) {
    return "it is known to lack data: " + set.manifest.incomplete.front();
  }
  if (const auto failure = store::failed_drill(set)) return "a drill has disproved it: " + *failure;
  return {};
}

// With the sets that belong together with it.
std::vector<ChosenSet> group_of(ChosenSet chosen) {
  std::vector<ChosenSet> group;
  const std::vector<std::string> members = chosen.set.manifest.members;
  const std::string directory = chosen.directory.path();
  group.push_back(std::move(chosen));
  for (const std::string& member : members) group.push_back(choose_by_file({directory, member}));
  return group;
}

// What is broken in one of them; empty where all are whole.
std::string first_broken(run::Session& session, const std::vector<ChosenSet>& group) {
  for (const ChosenSet& one : group) {
    const SetVerdict verdict = verify_set(session, one.directory, one.set);
    if (!verdict.good()) return verdict.first_broken();
  }
  return {};
}

}  // namespace

std::vector<ChosenSet> choose_sets(run::Session& session, const std::string& module,
                                   const std::optional<std::string>& reference) {
  if (reference) {
    std::vector<ChosenSet> group =
        group_of(choose_by_file(file_reference(session, module, *reference)));
    const std::string broken = first_broken(session, group);
    if (broken.empty()) return group;
    throw Error(ErrorKind::artifact, broken,
                "it does not pass verify: name another set with --set");
  }
  const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, module);
  if (newest_set(catalogue) == nullptr) throw no_backup(module, directory);
  std::vector<std::string> passed_over;
  for (const store::BackupSet& set : catalogue.sets) {
    std::string why;
    try {
      std::vector<ChosenSet> group =
          group_of({store::OwnedDirectory::open_existing(session.settings.backup_dir), set});
      for (const ChosenSet& one : group) {
        if (why.empty()) why = passed_over_because(one.set);
      }
      if (why.empty()) {
        const std::string broken = first_broken(session, group);
        if (broken.empty()) {
          for (const std::string& line : passed_over) session.reporter.warning(line);
          return group;
        }
        why = "it does not pass verify: " + broken;
      }
    } catch (const Error& error) {
      // One that belongs together with it is not there.
      if (error.kind() != ErrorKind::artifact && error.kind() != ErrorKind::storage) throw;
      why = error.what();
    }
    passed_over.push_back(fmt::format("passed over {}: {}", set.manifest_file, why));
  }
  throw Error(ErrorKind::artifact,
              fmt::format("no set of {} is good: {}", module, join(passed_over, "; ")),
              "name the one that you want with --set");
}

}  // namespace bba::commands
