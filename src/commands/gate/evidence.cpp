// Finds the set or the public proof that the request means, and says why where there is none.
#include "evidence.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "commands/verify/verify_set.hpp"
#include "program.hpp"
#include "reference.hpp"

namespace bba::commands {

namespace {

Refusal no_set(const std::string& module, const std::string& why) {
  return {"set", why, program + ("backup " + module)};
}

std::string nothing_there(const run::Session& session, const std::string& module) {
  std::string text =
      fmt::format("there is no backup of module {} in {}", module, session.settings.backup_dir);
  try {
    const auto known = conf::load_module(session.settings.platform_root, module);
    if (known && known->statefulness == conf::Statefulness::sidecar_bound) {
      text += fmt::format("; its data is backed up with {}: ask the gate for that",
                          join(known->backup_ref_modules, ", "));
    }
  } catch (const Error&) {
    // The platform's files would only make the message better.
  }
  return text;
}

// The index of the newest set; else a refusal.
std::optional<std::size_t> newest_index(const run::Session& session, const GateRequest& request,
                                        const store::Catalogue& catalogue, Evidence& evidence) {
  try {
    if (const store::BackupSet* newest = newest_set(catalogue)) {
      return static_cast<std::size_t>(newest - catalogue.sets.data());
    }
    evidence.refusals.push_back(no_set(request.module, nothing_there(session, request.module)));
  } catch (const Error& error) {
    evidence.refusals.push_back(no_set(request.module, error.what()));
  }
  return std::nullopt;
}

Refusal no_backup_but_safety_set(const GateRequest& request, const store::BackupSet& set) {
  return {"purpose",
          fmt::format("{} is a safety set ({}): what the service had right before a restore, which "
                      "stands for no backup",
                      set.manifest_file, set.manifest.purpose),
          program + ("backup " + request.module)};
}

}  // namespace

bool may_read_backups(const std::string& path) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno != EACCES && errno != EPERM;
  struct stat status {};
  if (::fstat(directory.get(), &status) != 0) return false;
  return ::geteuid() == 0 || status.st_uid == ::geteuid();
}

Evidence ask_directory(run::Session& session, const GateRequest& request,
                       const std::optional<FileReference>& file) {
  Evidence evidence;
  struct stat status {};
  if (::stat(session.settings.backup_dir.c_str(), &status) != 0 && errno == ENOENT) {
    evidence.refusals.push_back(no_set(request.module, nothing_there(session, request.module)));
    return evidence;
  }
  const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, request.module);
  const auto index = file ? referred_set(session, request, *file, catalogue, evidence)
                          : newest_index(session, request, catalogue, evidence);
  if (!index) return evidence;
  const store::BackupSet& set = catalogue.sets[*index];
  if (store::is_safety_set(set.manifest)) {
    evidence.refusals.push_back(no_backup_but_safety_set(request, set));
    return evidence;
  }
  evidence.proof = store::proof_of(directory, catalogue.sets, *index, request.at);
  evidence.failed_drill = store::failed_drill(set);
  const SetVerdict verdict = verify_set(session, directory, set);
  if (!verdict.good()) {
    evidence.refusals.push_back({"whole",
                                 "the backup does not pass verify: " + verdict.first_broken(),
                                 program + ("backup " + request.module)});
  }
  return evidence;
}

Evidence ask_proof(const run::Session& session, const GateRequest& request,
                   const std::optional<FileReference>& file) {
  Evidence evidence;
  try {
    evidence.proof = store::read_proof(session.settings.proof_dir, request.module);
  } catch (const Error& error) {
    evidence.refusals.push_back(
        {"set", fmt::format("the public proof cannot be used: {}", error.what()),
         error.hint().empty() ? program + ("verify " + request.module) : error.hint()});
    return evidence;
  }
  if (!evidence.proof) {
    evidence.refusals.push_back(
        {"set",
         fmt::format("{} cannot be read, and there is no public proof {}/{}.json",
                     session.settings.backup_dir, session.settings.proof_dir, request.module),
         program + ("backup " + request.module)});
    return evidence;
  }
  if (file && !proof_names(*evidence.proof, *file)) {
    evidence.refusals.push_back(bad_reference(
        request, *request.reference + " is not in the public proof, which is of the newest set: " +
                     evidence.proof->manifest));
  }
  return evidence;
}

}  // namespace bba::commands
