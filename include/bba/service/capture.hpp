// One backup of one module as a value: what `plan` prints is what `backup` executes. The files
// beside this one make a Capture from a Target, one class each; none of them does I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/conf/config.hpp"
#include "bba/wire/message.hpp"

namespace bba::classes {

// A module with everything that was found out about it before anything is done.
struct Target {
  std::string module;
  char module_class = 'E';
  std::string rule;      // why that class
  std::string found_by;  // the lookup step that found the container
  wire::Container container;
  conf::ModuleSettings settings;
  std::vector<wire::EnvVar> operator_env;  // what the operator's environment lends to execs
};

// A program inside the container whose stdout becomes the artifact.
struct ExecDump {
  enum class Format { sql, raft_snapshot };
  wire::ExecConfig exec;
  Format format = Format::sql;
};

// A directory or file of the container, through the archive endpoint.
struct PathArchive {
  std::string path;       // in the container
  std::string host_path;  // where this host sees the same data; empty: through /proc/<pid>/root
  std::vector<std::string> excludes;  // globs on paths in the container
  std::vector<std::string> nested;    // mounts below `path`: parts of their own, or left out
  std::string rdb_file;               // name of the RDB in it, checked as it passes; empty: none
  bool rdb_required = false;          // the server has just saved it, so it must be there
};

// A directory of the host (a compose project's), written as a tar by this program.
struct HostDirectory {
  std::string path;
  std::vector<std::string> excludes;
};

// All objects of a MinIO server, through mc inside the container.
struct ObjectMirror {
  std::string alias;
  wire::ExecConfig mc;  // argv is the program alone; env holds MC_HOST_<alias>
};

struct Part {
  std::string name;  // "" where the set has one artifact
  std::variant<ExecDump, PathArchive, HostDirectory, ObjectMirror> what;
  std::optional<std::uint64_t> expected_bytes =
      {};  // about how much will be read, where that is known

  std::string kind() const;    // ArtifactRecord::kind
  std::string source() const;  // ArtifactRecord::source: the whole argv, path or alias
  std::string label() const;   // the same in a word: "pg_dumpall", "/data"
};

// BGSAVE, to be proven complete before the directory is archived.
struct RedisSave {
  wire::ExecConfig cli;  // argv: redis-cli or valkey-cli with its options, no command
};

enum class Consistency { automatic, pause, stop, live };
std::optional<Consistency> consistency_by_name(std::string_view name);
std::string_view name(Consistency consistency);

struct Quiesced {  // a container to hold still while the parts are read
  std::string id;
  std::string name;
};

struct MountChoice {
  wire::Mount mount;
  bool taken = false;
  std::string why;
};

struct Capture {
  Target target;
  std::string strategy;                 // "pg_dumpall", "mounted data archive", ...
  std::optional<std::string> fallback;  // why the class's own procedure is not used
  Consistency consistency = Consistency::live;
  std::string consistency_reason;
  std::vector<Quiesced> quiesce;
  std::optional<RedisSave> save_first;
  // What is done instead where the service refuses its own procedure only once it is asked.
  std::shared_ptr<const Capture> if_refused;
  std::vector<MountChoice> mounts;
  std::vector<Part> parts;
  Json facts = Json::object();  // what the service said of itself
  // What the service has and the parts will not hold: Manifest::incomplete.
  std::vector<std::string> incomplete;
  std::vector<std::string> warnings;
  std::vector<std::string> follow_ups;
};

// The Engine API requests and in-container argv that executing the capture makes, in order, one a
// line; in brackets when, where that is not always and once. Environment values are never in it,
// names are.
std::vector<std::string> requests(const Capture& capture);
// The commands that restore a part by hand from `file`, in order, for a POSIX shell. They begin by
// setting TARGET, the container to restore into, unless it is set already.
std::vector<std::string> restore_commands(const Capture& capture, const Part& part,
                                          const std::string& file);

}  // namespace bba::classes
