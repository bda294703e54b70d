#include "commands/publish_proof.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "bba/base/text.hpp"
#include "commands/set_reference.hpp"

namespace bba::commands {

namespace {

bool same_directory(const store::OwnedDirectory& a, const std::string& path) {
  struct stat first {
  }, second{};
  return ::fstat(a.fd(), &first) == 0 && ::stat(path.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// A set that a wrong clock dated in the future stays the newest, whatever is taken later.
void warn_where_hidden(run::Session& session, const std::vector<store::BackupSet>& sets,
                       const std::string& newest, const std::string& manifest_file) {
  const auto known_to_be_past =
      std::find_if(sets.begin(), sets.end(), [at = now()](const store::BackupSet& one) {
        return one.manifest.started <= at && !store::is_safety_set(one.manifest);
      });
  if (known_to_be_past == sets.end() || known_to_be_past->manifest_file == newest ||
      known_to_be_past->manifest_file != manifest_file) {
    return;
  }
  session.reporter.warning(fmt::format(
      "{} has no public proof, and no gate judges it: {} is dated in the future, and so the "
      "newest; if the clock is right now, move that one and its artifacts out of {}",
      manifest_file, newest, session.settings.backup_dir));
}

// Why the newest set has no proof although it is whole; empty where nothing speaks against it.
std::string unproven_because(const store::Catalogue& catalogue) {
  try {
    if (const store::BackupSet* set = newest_set(catalogue)) {
      const auto failed = store::failed_drill(*set);
      if (failed)
        return fmt::format("the last drill of {} failed: {}", set->manifest_file, *failed);
    }
    return {};
  } catch (const Error& error) {
    return fmt::format("another set may be newer: {}", error.what());
  }
}

}  // namespace

void publish_proof(run::Session& session, const store::OwnedDirectory& directory,
                   const std::string& manifest_file) {
  if (!same_directory(directory, session.settings.backup_dir)) return;
  const auto parsed = store::parse_name(manifest_file);
  if (!parsed) throw Error(ErrorKind::internal, manifest_file + " is not the name of a manifest");
  try {
    const store::Catalogue catalogue = store::read_catalogue(directory, parsed->module);
    const store::BackupSet* newest = newest_backup(catalogue);
    if (newest == nullptr) return;
    if (newest->manifest_file != manifest_file) {
      warn_where_hidden(session, catalogue.sets, newest->manifest_file, manifest_file);
      return;
    }
    if (const std::string why = unproven_because(catalogue); !why.empty()) {
      session.reporter.warning(fmt::format("{}: no public proof, as {}", parsed->module, why));
      withdraw_proof(session, directory, manifest_file);
      return;
    }
    const auto index = static_cast<std::size_t>(newest - catalogue.sets.data());
    store::write_proof(session.settings.proof_dir,
                       store::proof_of(directory, catalogue.sets, index, now()));
  } catch (const Error& error) {
    session.reporter.warning(
        fmt::format("{}: the backup is good, but its public proof could not be written: {}",
                    parsed->module, error.what()));
  }
}

void withdraw_proof(run::Session& session, const store::OwnedDirectory& directory,
                    const std::string& manifest_file) {
  if (!same_directory(directory, session.settings.backup_dir)) return;
  const auto parsed = store::parse_name(manifest_file);
  if (!parsed) throw Error(ErrorKind::internal, manifest_file + " is not the name of a manifest");
  try {
    if (!store::remove_proof(session.settings.proof_dir, parsed->module, manifest_file)) return;
    session.reporter.note(parsed->module + ": its public proof is withdrawn");
  } catch (const Error& error) {
    session.reporter.warning(
        fmt::format("{}: a public proof that is no longer true may still be there: {}",
                    parsed->module, error.what()));
  }
}

}  // namespace bba::commands
