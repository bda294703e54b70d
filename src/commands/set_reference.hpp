// Which set of backups a reference on the command line means: the set of a file, a module's set of
// one time, or its newest.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

// ---- the set of a file: an artifact, or a manifest

struct FileReference {
  std::string directory;
  std::string file;
  bool is_bare = false;  // given as a name alone
};

// The file that a reference means; nullopt where it is called like none: it may be a module id. A
// bare name is looked for in the working directory, then in the backup directory.
std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference);

// The file that a reference beside a module id means: also its set's time alone
// ("20261123T084232Z"), for the manifest. Throws Error{usage} where it is called like no file of a
// set of that module.
FileReference file_reference(const run::Session& session, const std::string& module,
                             const std::string& reference);

// What the name of the file says. Throws Error{usage} where it is not that of an artifact or of a
// manifest.
store::ParsedName parsed_name(const FileReference& reference);

// The manifest of the file's set, where it is there and cannot be read; else nullptr.
const store::Orphan* unreadable_manifest(const store::Catalogue& catalogue,
                                         const store::ParsedName& name);

// The index of the file's set: that of the time it is called after, whose manifest is the file or
// names it. Throws Error{artifact} where the manifest cannot be read or does not name the file, and
// Error{storage} where there is no such file.
std::size_t index_of_set(const store::Catalogue& catalogue, const FileReference& reference);

// ---- the newest set of a module

// A reference that is no file must be a module id: Error{usage}.
void require_module(const std::string& reference);

// Of the catalogue of one module: the newest that is no safety set; nullptr where it has none.
const store::BackupSet* newest_backup(const store::Catalogue& catalogue);
// The same. Throws Error{artifact} where a manifest that cannot be read may be that of a newer set,
// which an older one must not stand for.
const store::BackupSet* newest_set(const store::Catalogue& catalogue);

Error no_backup(const std::string& module, const store::OwnedDirectory& directory);

// ---- a set that is to be worked on, and where it lies

struct ChosenSet {
  store::OwnedDirectory directory;
  store::BackupSet set;
};

// The set of a file, in whatever directory; throws as index_of_set() does.
ChosenSet choose_by_file(const FileReference& reference);
// The newest set of a module in the backup directory; throws as newest_set() does, and
// Error{config} where there is none.
ChosenSet choose_newest(const run::Session& session, const std::string& module);

}  // namespace bba::commands
