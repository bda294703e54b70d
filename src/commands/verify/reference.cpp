// Finds what a reference on the command line means, and says what is wrong with one that means
// nothing.
#include "reference.hpp"

#include <algorithm>
#include <filesystem>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"

namespace bba::commands {

std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference) {
  const std::size_t slash = reference.rfind('/');
  if (slash != reference.npos) {
    return FileReference{slash == 0 ? "/" : reference.substr(0, slash),
                         reference.substr(slash + 1)};
  }
  // No module id can look like this: it would hold capitals.
  if (!store::parse_name(reference)) return std::nullopt;
  std::error_code not_here;
  if (std::filesystem::exists(reference, not_here)) return FileReference{".", reference};
  return FileReference{session.settings.backup_dir, reference};
}

store::ParsedName parsed_name(const FileReference& reference) {
  auto name = store::parse_name(reference.file);
  if (!name) throw misnamed(reference);
  return *std::move(name);
}

bool belongs_to(const store::BackupSet& set, const std::string& file) {
  const auto& artifacts = set.manifest.artifacts;
  return file == set.manifest_file ||
         std::any_of(artifacts.begin(), artifacts.end(),
                     [&](const store::ArtifactRecord& one) { return one.file == file; });
}

const store::BackupSet* set_of(const store::Catalogue& catalogue, const store::ParsedName& name,
                               const std::string& file) {
  const std::string manifest = store::manifest_name(name.module, name.time);
  const auto set =
      std::find_if(catalogue.sets.begin(), catalogue.sets.end(),
                   [&](const store::BackupSet& one) { return one.manifest_file == manifest; });
  if (set == catalogue.sets.end()) return nullptr;
  if (!belongs_to(*set, file)) throw no_manifest(name, file);
  return &*set;
}

const store::Orphan* orphan_called(const store::Catalogue& catalogue, const std::string& file) {
  const auto found = std::find_if(catalogue.orphans.begin(), catalogue.orphans.end(),
                                  [&](const store::Orphan& one) { return one.file == file; });
  return found == catalogue.orphans.end() ? nullptr : &*found;
}

Error misnamed(const FileReference& reference) {
  return Error(ErrorKind::usage,
               fmt::format("{} is not called like an artifact or a manifest", reference.file),
               "give the path of <module>-<time>.<suffix> or <module>-<time>.manifest.json, or a "
               "module id");
}

Error no_manifest(const store::ParsedName& name, const std::string& file) {
  const std::string manifest = store::manifest_name(name.module, name.time);
  return Error(
      ErrorKind::artifact,
      fmt::format("{}: no manifest names it, and an artifact without one is not a backup", file),
      fmt::format("where it was copied, copy {} as well; else the run that made it was killed, or "
                  "a prune of it",
                  manifest));
}

Error no_such_file(const FileReference& reference) {
  return Error(ErrorKind::storage,
               fmt::format("{}/{}: there is no such file", reference.directory, reference.file));
}

void require_module_id(const std::string& reference) {
  if (!valid_module_id(reference)) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is neither a module id nor a file that is there", reference));
  }
}

Error no_backup(const std::string& module, const store::OwnedDirectory& directory) {
  return Error(ErrorKind::config,
               fmt::format("there is no backup of module {} in {}", module, directory.path()),
               "take one with: backup-before-apply " + module);
}

}  // namespace bba::commands
