// The manifest: the commit record of one set. An artifact that no manifest names is not a backup.
// docs/manifest.md describes the JSON; to_json and from_json are its only writer and reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/time.hpp"

namespace bba::store {

inline constexpr int manifest_schema = 1;

// The purpose of a safety set: what a service had right before a restore in place.
inline constexpr const char* before_restore = "before-restore";

struct ArtifactRecord {
  std::string part;         // "" where the set has one artifact
  std::string file;         // name, in the manifest's own directory
  std::string kind;         // which check it has to pass: services/ knows the kinds
  std::string compression;  // none, gzip, zstd
  std::string source;       // what it holds: "/var/lib/data of kuma", "pg_dumpall"
  std::uint64_t bytes = 0;  // as stored
  std::string sha256;       // of the stored bytes
  std::uint64_t uncompressed_bytes = 0;
  // What the check found, an object: databases, keys, entries, objects, snapshot index.
  Json found = Json::object();
  // Globs on the paths at its source that it does not hold.
  std::vector<std::string> left_out;
  std::vector<std::string> restore;  // commands that restore it by hand, in order
};

// What it takes to make the container again, as a file of the set (run/recorded_container.hpp).
struct ConfigurationRecord {
  std::string file;  // name, in the manifest's own directory
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct ContainerRecord {
  std::string id;
  std::string name;
  std::string image;              // the name it was created by
  std::string image_id;           // sha256:...
  std::string image_digest;       // repo@sha256:..., empty for an image that came from no registry
  Json compose = Json::object();  // project, service, number, working_dir where the labels say so
  std::optional<ConfigurationRecord> configuration = {};  // sets before version 0.3 have none
};

struct PausedRecord {
  std::string name;
  std::string id;
  double seconds = 0;
};

struct ConsistencyRecord {
  std::string mode;  // live, pause, stop, stopped (it was not running), paused (it was already)
  std::vector<PausedRecord> paused;
};

struct Manifest {
  int schema = manifest_schema;
  std::string tool_version;
  std::string module;
  std::string module_class;  // the letter of the service
  std::string rule;          // which rule chose the class
  std::string strategy;
  std::optional<std::string> fallback;  // why the class's own procedure was not used
  // Why it was taken, where it is not a backup: before_restore. Empty for a backup.
  std::string purpose;
  Timestamp started{};
  Timestamp finished{};
  std::string host;
  Json engine = Json::object();  // version, api_version
  ContainerRecord container;
  ConsistencyRecord consistency;
  std::vector<ArtifactRecord> artifacts;
  // What the service said of itself: version, databases, row counts, keys.
  Json facts = Json::object();
  // What is known not to be in the set, though the module has it: "bucket photos, which the
  // credentials do not show". Empty: nothing is known to be missing.
  std::vector<std::string> incomplete;
  std::vector<std::string> warnings;
  std::vector<std::string> follow_ups;
  std::vector<std::string> members;  // file names of the manifests of the same set (sidecar-bound)
};

// Whether it was taken to undo a restore. The state before one may be what the restore is to undo,
// so such a set stands for no backup. Of a purpose that this version does not know neither.
bool is_safety_set(const Manifest& manifest);

Json to_json(const Manifest& manifest);
// Throws Error{artifact} that names the field: not JSON, a newer schema (its own message), a field
// missing or of the wrong type, a file name with a slash. Fields that it does not know are not
// an error.
Manifest manifest_from_json(std::string_view text);

// The files of the set besides the manifest: its artifacts, and the container's configuration.
std::vector<std::string> set_files(const Manifest& manifest);

// The names: <module>-<YYYYMMDDTHHMMSSZ>[.<part>].<suffix> and <module>-<ts>.manifest.json. A
// module id or part that cannot stand in one is Error{internal}.
std::string artifact_name(const std::string& module, Timestamp time, const std::string& part,
                          const std::string& suffix);
std::string manifest_name(const std::string& module, Timestamp time);
std::string receipt_name(const std::string& module, Timestamp time);        // .drill.json
std::string configuration_name(const std::string& module, Timestamp time);  // .container.json
struct ParsedName {
  std::string module;
  Timestamp time;
  std::string rest;  // "sql.gz", "data.tar.gz", "manifest.json", "drill.json"

  bool is_manifest() const;
  bool is_receipt() const;
};
std::optional<ParsedName> parse_name(std::string_view file);

}  // namespace bba::store
