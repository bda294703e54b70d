// What a reference on the command line means: a file and the set that it belongs to, or a module.
#pragma once

#include <optional>
#include <string>

#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

// The directory and the file name that a reference means; nullopt where it is not a path. A bare
// file name is looked for in the working directory, then in the backup directory.
struct FileReference {
  std::string directory;
  std::string file;
};
std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference);

// ---- a file

// What the name of the file says; throws misnamed() where it says nothing.
store::ParsedName parsed_name(const FileReference& reference);

// Whether the file is the set's manifest, or an artifact that it names.
bool belongs_to(const store::BackupSet& set, const std::string& file);
// The set of the time that the file is called after; nullptr where there is none. Throws
// no_manifest() where there is one that does not name the file.
const store::BackupSet* set_of(const store::Catalogue& catalogue, const store::ParsedName& name,
                               const std::string& file);
// What the file is where it is there and of no set; else nullptr.
const store::Orphan* orphan_called(const store::Catalogue& catalogue, const std::string& file);

Error misnamed(const FileReference& reference);
Error no_manifest(const store::ParsedName& name, const std::string& file);
Error no_such_file(const FileReference& reference);

// ---- a module

// A reference that is no file must be a module id.
void require_module_id(const std::string& reference);

Error no_backup(const std::string& module, const store::OwnedDirectory& directory);

}  // namespace bba::commands
