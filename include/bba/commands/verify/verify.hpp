// `verify`: reads every byte of a set again and proves it whole, by its manifest and by its own
// format, with the same checks as `backup`. It needs no engine and no state, and works on a copy of
// the directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

struct ArtifactVerdict {
  std::string file;
  std::string kind;
  std::uint64_t bytes = 0;
  std::string holds;   // "sql: 5 databases"; empty where it is broken
  std::string broken;  // what is wrong, and at which offset; empty: it is whole
};

struct SetVerdict {
  std::string module;
  // As in the manifest; empty where it cannot be read.
  std::string module_class;
  std::string strategy;
  std::optional<std::string> fallback;
  std::uint64_t changed_while_read = 0;
  std::vector<std::string> incomplete;
  Timestamp started{};
  std::string manifest_file;
  std::string manifest_sha256;  // empty where the manifest cannot be read
  std::string broken;           // what is wrong with the manifest itself
  std::vector<ArtifactVerdict> artifacts;

  bool good() const;
  // The first broken thing, "file: what at byte N"; empty where all is good.
  std::string first_broken() const;
};

// All artifacts of a set, each read once. Throws only where nothing can be said: a request to stop,
// files that may not be read.
SetVerdict verify_set(run::Session& session, const store::OwnedDirectory& directory,
                      const store::BackupSet& set);

struct Verification {
  std::vector<SetVerdict> sets;    // newest first
  std::vector<std::string> notes;  // files that belong to no set

  std::string first_broken() const;
};

// `reference`: the path of an artifact (it alone is read) or of a manifest, else a module id: all
// of its sets in the backup directory. What passes has its public proof renewed, what fails loses
// it, where the directory is the one that backups go to.
Verification verify(run::Session& session, const std::string& reference);

// What to do where something is broken: which set not to rely on, and what is left to rely on.
std::string advice(const Verification& verification);

// The directory and the file name that a reference means; nullopt where it is not a path. A bare
// file name is looked for in the working directory, then in the backup directory.
struct FileReference {
  std::string directory;
  std::string file;
};
std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference);

// Whether the file is the set's manifest, or an artifact that it names; else what to say of one
// that no manifest names.
bool belongs_to(const store::BackupSet& set, const std::string& file);
Error no_manifest(const store::ParsedName& name, const std::string& file);

// For people, a line an artifact, and as JSON: one object a set.
std::string verification_text(const Verification& verification);
Json verification_json(const Verification& verification);

}  // namespace bba::commands
