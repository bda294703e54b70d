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

}  // namespace

ChosenSet choose_set(run::Session& session, const RestoreRequest& request) {
  if (request.reference) {
    ChosenSet chosen = choose_by_file(file_reference(session, request.module, *request.reference));
    const SetVerdict verdict = verify_set(session, chosen.directory, chosen.set);
    if (verdict.good()) return chosen;
    throw Error(ErrorKind::artifact, verdict.first_broken(),
                "it does not pass verify: name another set with --set");
  }
  auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, request.module);
  if (newest_set(catalogue) == nullptr) throw no_backup(request.module, directory);
  std::vector<std::string> passed_over;
  for (const store::BackupSet& set : catalogue.sets) {
    std::string why = passed_over_because(set);
    if (why.empty()) {
      const SetVerdict verdict = verify_set(session, directory, set);
      if (verdict.good()) {
        for (const std::string& line : passed_over) session.reporter.warning(line);
        return {std::move(directory), set};
      }
      why = "it does not pass verify: " + verdict.first_broken();
    }
    passed_over.push_back(fmt::format("passed over {}: {}", set.manifest_file, why));
  }
  throw Error(ErrorKind::artifact,
              fmt::format("no set of {} is good: {}", request.module, join(passed_over, "; ")),
              "name the one that you want with --set");
}

}  // namespace bba::commands
