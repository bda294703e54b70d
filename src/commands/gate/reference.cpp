// Tells which set a reference belongs to, and whether a public proof names it.
#include "reference.hpp"

#include <algorithm>
#include <filesystem>

#include "bba/base/text.hpp"
#include "program.hpp"

namespace bba::commands {

namespace {

bool same_directory(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code neither;
  return std::filesystem::equivalent(a, b, neither);
}

}  // namespace

Refusal bad_reference(const GateRequest& request, const std::string& why) {
  return {"reference", why, fmt::format("{}list {}", program, request.module)};
}

std::optional<std::size_t> referred_set(const run::Session& session, const GateRequest& request,
                                        const FileReference& file,
                                        const store::Catalogue& catalogue, Evidence& evidence) {
  if (!file.is_bare && !same_directory(file.directory, session.settings.backup_dir)) {
    evidence.refusals.push_back(bad_reference(
        request,
        *request.reference + " is not in the backup directory " + session.settings.backup_dir));
    return std::nullopt;
  }
  try {
    return index_of_set(catalogue, file);
  } catch (const Error& error) {
    evidence.refusals.push_back(bad_reference(request, error.what()));
    return std::nullopt;
  }
}

bool proof_names(const store::Proof& proof, const FileReference& file) {
  std::error_code nowhere;
  const std::filesystem::path asked =
      std::filesystem::absolute(file.directory + '/' + file.file, nowhere).lexically_normal();
  const auto is_it = [&](const std::string& path) {
    const std::filesystem::path named(path);
    if (file.is_bare) return named.filename() == file.file;
    return asked == named || (asked.filename() == named.filename() &&
                              same_directory(asked.parent_path(), named.parent_path()));
  };
  return is_it(proof.manifest) ||
         std::any_of(proof.artifacts.begin(), proof.artifacts.end(), is_it);
}

}  // namespace bba::commands
