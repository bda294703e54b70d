// One backup of one module as a value: what `plan` prints is what `backup` carries out. A service
// makes it from a Target.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/conf/config.hpp"
#include "bba/tree/host_path.hpp"
#include "bba/wire/message.hpp"

namespace bba::service {

class ArtifactKind;
class Service;

// A module with everything that was found out about it before anything is done.
struct Target {
  std::string module;
  char module_class = 0;  // the service's letter
  std::string rule;       // why that class
  std::string found_by;   // the lookup step that found the container
  wire::Container container;
  conf::ModuleSettings settings;
  std::vector<wire::EnvVar> operator_env;  // the operator's variables for execs
};

// A program inside the container whose stdout becomes the artifact.
struct ExecDump {
  wire::ExecConfig exec;
};

// A directory or file of the container, through the archive endpoint.
struct PathArchive {
  std::string path;       // in the container
  std::string host_path;  // where this host sees the same data; empty: through /proc/<pid>/root
  std::vector<std::string> excludes = {};  // globs on paths in the container
  std::vector<std::string> nested = {};    // mounts below `path`: parts of their own, or left out
  Json expected = Json::object();          // what its kind's file check is told of it
};

// A directory of the host (a compose project's), written as a tar by this program.
struct HostDirectory {
  std::string path;
  std::vector<std::string> excludes;  // globs on paths of the host
};

// What the service itself streams (Service::stream_part).
struct ServicePart {
  std::string source;        // ArtifactRecord::source
  std::string subject;       // what the program is asked for, as an alias
  wire::ExecConfig program;  // argv is the program alone
};

struct Part {
  std::string name;  // "" where the set has one artifact
  const ArtifactKind* kind = nullptr;
  std::variant<ExecDump, PathArchive, HostDirectory, ServicePart> what;
  std::optional<std::uint64_t> expected_bytes = {};  // about how much will be read, where known

  std::string source() const;  // ArtifactRecord::source: the whole argv, or a path
  std::string label() const;   // the same in a word: "pg_dumpall", "/data"
  // ArtifactRecord::left_out: globs on the paths that the archive does not hold.
  std::vector<std::string> left_out() const;
};

enum class Consistency { automatic, pause, stop, live };
std::optional<Consistency> consistency_by_name(std::string_view name);
std::string_view name(Consistency consistency);

struct Quiesced {  // a container to hold still while the parts are read
  std::string id;
  std::string name;
};

// Why a mount is taken or left out.
enum class MountVerdict {
  volume,
  writable_bind,
  holds_path,  // one of the paths that are archived instead lies in it
  tmpfs,
  other_type,
  engine_socket,
  not_data,     // a socket or a device
  kernel_view,  // /proc, /sys, /dev
  read_only_bind,
  not_asked_for,  // other paths are archived instead
};

struct MountChoice {
  wire::Mount mount;
  bool taken = false;
  std::string why = {};  // the verdict for people
  MountVerdict verdict = MountVerdict::not_data;
  tree::SourceKind source = tree::SourceKind::unreachable;
};

struct Capture {
  const Service* service = nullptr;  // whose hooks are called while it is carried out
  Target target;
  std::string strategy;                 // "pg_dumpall", "mounted data archive", ...
  std::optional<std::string> fallback;  // why the class's own procedure is not used
  Consistency consistency = Consistency::live;
  std::string consistency_reason;
  std::vector<Quiesced> quiesce;
  // The program of what the service does before and after the parts are read, where it does
  // something (Service::before_parts): argv is the program alone.
  std::optional<wire::ExecConfig> procedure;
  // What is done instead where the service refuses its own procedure only once it is asked.
  std::shared_ptr<const Capture> if_refused;
  std::vector<MountChoice> mounts;
  std::vector<Part> parts;
  Json facts = Json::object();          // what the service said of itself
  std::vector<std::string> incomplete;  // what is known not to be in it
  std::vector<std::string> warnings;
  std::vector<std::string> follow_ups;
};

// `capture` as the fallback of its class: the reason is in the manifest, and in a warning.
Capture as_fallback(Capture capture, const std::string& reason);

// The environment that a client was given, as Capture::facts has it: the names without values; and
// read back for a restore, where the operator gives the values. Empty where the facts have no such
// `key`.
Json environment_names(const std::vector<wire::EnvVar>& environment);
std::vector<wire::EnvVar> recorded_environment(const Json& facts, std::string_view key);

// The Engine API requests and in-container argv that carrying out the capture makes, in order, one
// per line; brackets say when, unless it is always and once. Environment values are never in it,
// names are.
std::vector<std::string> requests(const Capture& capture);
// One line of it: a program in the container, with these arguments after its argv.
std::string exec_request(const Capture& capture, wire::ExecConfig program,
                         const std::vector<std::string>& arguments = {});

}  // namespace bba::service
