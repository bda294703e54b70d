// Tells which set a reference belongs to, and whether a public proof names it.
#include "reference.hpp"

#include <algorithm>
#include <filesystem>
#include <sys/stat.h>

#include "bba/base/text.hpp"
#include "commands/verify/reference.hpp"
#include "program.hpp"

namespace bba::commands {

namespace {

bool same_directory(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

Refusal bad_reference(const GateRequest& request, const std::string& why) {
  return {"reference", fmt::format("{} {}", *request.reference, why),
          fmt::format("{}list {}", program, request.module)};
}

std::optional<Refusal> name_refusal(const run::Session& session, const GateRequest& request) {
  const auto file = file_reference(session, *request.reference);
  const auto parsed = file ? store::parse_name(file->file) : std::nullopt;
  if (!parsed) return bad_reference(request, "is not called like an artifact or a manifest");
  if (parsed->module != request.module) {
    return bad_reference(request,
                         fmt::format("is of module {}, not of {}", parsed->module, request.module));
  }
  return std::nullopt;
}

std::optional<std::size_t> referred_set(const run::Session& session, const GateRequest& request,
                                        const std::vector<store::BackupSet>& sets,
                                        Evidence& evidence) {
  const auto file = *file_reference(session, *request.reference);
  const bool bare = request.reference->find('/') == std::string::npos;
  if (!bare && !same_directory(file.directory, session.settings.backup_dir)) {
    evidence.refusals.push_back(
        bad_reference(request, "is not in the backup directory " + session.settings.backup_dir));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (belongs_to(sets[i], file.file)) return i;
  }
  evidence.refusals.push_back(
      bad_reference(request, "belongs to no complete set: no manifest names it"));
  return std::nullopt;
}

bool proof_names(const store::Proof& proof, const std::string& reference) {
  const bool bare = reference.find('/') == std::string::npos;
  std::error_code nowhere;
  const std::filesystem::path asked =
      std::filesystem::absolute(reference, nowhere).lexically_normal();
  const auto is_it = [&](const std::string& path) {
    const std::filesystem::path named(path);
    if (bare) return named.filename() == reference;
    return asked == named || (asked.filename() == named.filename() &&
                              same_directory(asked.parent_path(), named.parent_path()));
  };
  return is_it(proof.manifest) ||
         std::any_of(proof.artifacts.begin(), proof.artifacts.end(), is_it);
}

}  // namespace bba::commands
