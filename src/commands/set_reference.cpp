// Finds the set that a reference means, and says what is wrong with one that means none.
#include "set_reference.hpp"

#include <algorithm>
#include <filesystem>

#include "bba/base/module_id.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::commands {

namespace {

Error misnamed(const std::string& reference) {
  return Error(ErrorKind::usage,
               fmt::format("{} does not have the name of an artifact or a manifest", reference),
               "give the path of <module>-<time>.<suffix> or <module>-<time>.manifest.json, or a "
               "module id");
}

Error no_manifest(const std::string& manifest, const std::string& file) {
  return Error(
      ErrorKind::artifact,
      fmt::format("{}: no manifest names it, and an artifact without one is not a backup", file),
      fmt::format(
          "if it was copied here, copy {} as well; otherwise the run that made it was killed, or "
          "a prune of it",
          manifest));
}

bool belongs_to(const store::BackupSet& set, const std::string& file) {
  const std::vector<std::string> files = store::set_files(set.manifest);
  return file == set.manifest_file || std::find(files.begin(), files.end(), file) != files.end();
}

// What the file is where it is there and of no set; else nullptr.
const store::Orphan* orphan_called(const store::Catalogue& catalogue, const std::string& file) {
  const auto found = std::find_if(catalogue.orphans.begin(), catalogue.orphans.end(),
                                  [&](const store::Orphan& one) { return one.file == file; });
  return found == catalogue.orphans.end() ? nullptr : &*found;
}

}  // namespace

std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference) {
  const std::size_t slash = reference.rfind('/');
  if (slash != reference.npos) {
    return FileReference{parent_of(reference), reference.substr(slash + 1)};
  }
  // No module id can look like this: it would hold capitals.
  if (!store::parse_name(reference)) return std::nullopt;
  std::error_code not_here;
  const bool is_here = std::filesystem::exists(reference, not_here);
  return FileReference{is_here ? "." : session.settings.backup_dir, reference, true};
}

FileReference file_reference(const run::Session& session, const std::string& module,
                             const std::string& reference) {
  const auto time = parse_compact(reference);
  const auto file =
      time ? FileReference{session.settings.backup_dir, store::manifest_name(module, *time), true}
           : file_reference(session, reference);
  const auto name = file ? store::parse_name(file->file) : std::nullopt;
  if (!name || name->is_receipt()) throw misnamed(reference);
  if (name->module != module) {
    throw Error(ErrorKind::usage,
                fmt::format("{} is of module {}, not of {}", reference, name->module, module));
  }
  return *file;
}

store::ParsedName parsed_name(const FileReference& reference) {
  auto name = store::parse_name(reference.file);
  if (!name || name->is_receipt()) throw misnamed(reference.file);
  return *std::move(name);
}

const store::Orphan* unreadable_manifest(const store::Catalogue& catalogue,
                                         const store::ParsedName& name) {
  return orphan_called(catalogue, store::manifest_name(name.module, name.time));
}

std::size_t index_of_set(const store::Catalogue& catalogue, const FileReference& reference) {
  const store::ParsedName name = parsed_name(reference);
  const std::string manifest = store::manifest_name(name.module, name.time);
  const auto& sets = catalogue.sets;
  const auto set = std::find_if(sets.begin(), sets.end(), [&](const store::BackupSet& one) {
    return one.manifest_file == manifest;
  });
  if (set != sets.end() && belongs_to(*set, reference.file)) {
    return static_cast<std::size_t>(set - sets.begin());
  }
  if (const store::Orphan* unreadable = unreadable_manifest(catalogue, name)) {
    throw Error(ErrorKind::artifact, unreadable->file + ": " + unreadable->why,
                "take a new backup: backup-before-apply " + name.module);
  }
  if (set != sets.end() || orphan_called(catalogue, reference.file) != nullptr) {
    throw no_manifest(manifest, reference.file);
  }
  throw Error(ErrorKind::storage,
              fmt::format("{}/{}: there is no such file", reference.directory, reference.file));
}

void require_module(const std::string& reference) {
  if (!valid_module_id(reference)) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is neither a module id nor an existing file", reference));
  }
}

const store::BackupSet* newest_backup(const store::Catalogue& catalogue) {
  const auto& sets = catalogue.sets;
  const auto backup = std::find_if(sets.begin(), sets.end(), [](const store::BackupSet& set) {
    return !store::is_safety_set(set.manifest);
  });
  return backup == sets.end() ? nullptr : &*backup;
}

const store::BackupSet* newest_set(const store::Catalogue& catalogue) {
  const store::BackupSet* newest = newest_backup(catalogue);
  // By name, and so by time.
  const auto& orphans = catalogue.orphans;
  const auto manifest = std::find_if(orphans.rbegin(), orphans.rend(), [](const auto& orphan) {
    const auto name = store::parse_name(orphan.file);
    return name && name->is_manifest();
  });
  if (manifest == orphans.rend()) return newest;
  const Timestamp time = store::parse_name(manifest->file)->time;
  if (newest == nullptr || time >= newest->manifest.started) {
    throw Error(ErrorKind::artifact,
                fmt::format("the newest manifest, {}: {}", manifest->file, manifest->why),
                "name the set that you mean, or take a new backup");
  }
  return newest;
}

Error no_backup(const std::string& module, const store::OwnedDirectory& directory) {
  return Error(ErrorKind::config,
               fmt::format("there is no backup of module {} in {}", module, directory.path()),
               "take one with: backup-before-apply " + module);
}

ChosenSet choose_by_file(const FileReference& reference) {
  const store::ParsedName name = parsed_name(reference);
  auto directory = store::OwnedDirectory::open_copy(reference.directory);
  store::Catalogue catalogue = store::read_catalogue(directory, name.module);
  const std::size_t index = index_of_set(catalogue, reference);
  return {std::move(directory), std::move(catalogue.sets[index])};
}

ChosenSet choose_newest(const run::Session& session, const std::string& module) {
  require_module(module);
  auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, module);
  const store::BackupSet* newest = newest_set(catalogue);
  if (newest == nullptr) throw no_backup(module, directory);
  return {std::move(directory), *newest};
}

}  // namespace bba::commands
