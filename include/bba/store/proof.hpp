// How well a set is proven, and the public proof of it: <proof-dir>/<module>.json, for those who
// ask the gate but may not read the backups. docs/gate.md describes the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "bba/store/catalogue.hpp"

namespace bba::store {

enum class ProofLevel {
  verified,  // every byte passed its check, as it was taken or later
  drilled,   // restored, and what came out was compared
};
std::string_view name(ProofLevel level);
std::optional<ProofLevel> proof_level_by_name(std::string_view name);

// The digest that names a set: of its manifest, as `sha256sum` prints it.
std::string manifest_sha256(const BackupSet& set);
// Whether the set's receipt says that a drill of this very manifest succeeded.
bool is_drilled(const BackupSet& set);
ProofLevel proof_level(const BackupSet& set);
// What the set's receipt says where its last drill disproved this very manifest: the first thing
// that did not come back as it should.
std::optional<std::string> failed_drill(const BackupSet& set);

// What all artifacts of a set hold, uncompressed: the size by which sets are compared.
std::uint64_t content_bytes(const Manifest& manifest);
// How many entries of all artifacts of a set changed while they were read, and may be torn.
std::uint64_t changed_while_read(const Manifest& manifest);
// The content of the up to five complete sets of the same strategy before `index` in a module's
// sets, newest first. Safety sets do not count.
std::vector<std::uint64_t> sizes_before(const std::vector<BackupSet>& sets, std::size_t index);

// The path of a file there: absolute and normalized.
std::string path_in(const OwnedDirectory& directory, const std::string& file);

struct Proof {
  std::string module;
  std::string module_class;
  std::string strategy;
  std::optional<std::string> fallback;   // as in the manifest, and so is `incomplete`
  std::uint64_t changed_while_read = 0;  // entries
  std::vector<std::string> incomplete;
  std::string manifest;  // path
  std::string manifest_sha256;
  std::vector<std::string> artifacts;  // paths; the first is the reference
  std::uint64_t bytes = 0;             // as stored
  std::uint64_t content_bytes = 0;
  std::vector<std::uint64_t> content_bytes_before;  // of the sets before, newest first
  Timestamp started{};
  Timestamp finished{};
  Timestamp proven{};
  ProofLevel level = ProofLevel::verified;
  std::string host;
  std::string container_id;
  std::string image;
  std::string image_id;
  std::string image_digest;
};

Json to_json(const Proof& proof);
// Throws Error{artifact} that names the field.
Proof proof_from_json(std::string_view text);
// `index` is that of the set in its module's sets, newest first.
Proof proof_of(const OwnedDirectory& directory, const std::vector<BackupSet>& sets,
               std::size_t index, Timestamp proven);

// Replaces <directory>/<module>.json as a whole. Makes the directory (0755) where it is missing.
// Throws Error{storage}, also where others could write to the directory or to one above it: no gate
// would believe it.
void write_proof(const std::string& directory, const Proof& proof);
// nullopt where there is none. Throws Error{gate} where directory or file do not belong to `owner`,
// or somebody else could write or exchange them; Error{artifact} where it is not a valid
// proof.
std::optional<Proof> read_proof(const std::string& directory, const std::string& module,
                                uid_t owner = 0);
// Removes this user's proof of the module, of any schema, where it is of that manifest.
// False where it is of another one, or there is none.
bool remove_proof(const std::string& directory, const std::string& module,
                  const std::string& manifest_file);

}  // namespace bba::store
