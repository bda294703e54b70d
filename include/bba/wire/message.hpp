// The Docker Engine API's messages as far as this program uses them, typed. Parsing never throws
// and never trusts: a field that is missing or of another type gives an empty value, except where
// its lack makes the message useless, and then the whole parse is nullopt. Names are the API's.
// Source: Docker Engine API v1.41 .. v1.51 (moby/moby api/swagger.yaml).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/base/time.hpp"

namespace bba::wire {

struct Version {                // GET /version
  std::string version;          // "20.10.24"
  std::string api_version;      // "1.41"
  std::string min_api_version;  // "1.12"
};
std::optional<Version> parse_version(std::string_view body);

// "1.41" < "1.44"; what is not a pair of numbers compares as 0.0.
int compare_api_versions(std::string_view a, std::string_view b);

struct Info {        // GET /info
  std::string name;  // the host's name
  std::string docker_root_dir;
  std::vector<std::string> security_options;  // "name=userns", "name=rootless", ...
};
std::optional<Info> parse_info(std::string_view body);

struct Mount {
  std::string type;         // volume, bind, tmpfs, npipe, ...
  std::string name;         // of a volume
  std::string source;       // path on the host; empty for tmpfs
  std::string destination;  // path in the container
  bool rw = true;
};

using Labels = std::map<std::string, std::string>;

struct ContainerSummary {  // GET /containers/json
  std::string id;
  std::vector<std::string> names;  // without the leading slash
  std::string image;
  std::string state;  // created, running, paused, restarting, removing, exited, dead
  Labels labels;
  std::vector<Mount> mounts;
};
std::optional<std::vector<ContainerSummary>> parse_container_list(std::string_view body);
// Whether its processes are there: running, paused or restarting.
bool is_up(const ContainerSummary& container);
// Its first name, or the beginning of its id.
std::string name_of(const ContainerSummary& container);

struct Container {  // GET /containers/{id}/json
  std::string id;
  std::string name;   // without the leading slash
  std::string image;  // Image: the image's id, sha256:...
  std::string state;  // State.Status
  bool running = false;
  bool paused = false;
  bool restarting = false;
  std::int64_t pid = 0;  // State.Pid: on the host
  std::string health;    // State.Health.Status: starting, healthy, unhealthy; empty without one
  std::int64_t exit_code = 0;  // State.ExitCode, where it ran once and ended
  bool auto_remove = false;    // HostConfig.AutoRemove
  bool readonly_rootfs = false;
  std::string config_image;      // Config.Image: the name it was created by
  std::string user;              // Config.User
  std::string working_dir;       // Config.WorkingDir
  std::vector<std::string> env;  // "NAME=value"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  Labels labels;
  std::vector<Mount> mounts;
  Json config;  // Config and HostConfig as they came, for a clone of the container
  Json host_config;
  Json networks;  // NetworkSettings.Networks as it came: by the network's name
};
std::optional<Container> parse_container(std::string_view body);
// The value of NAME in a container's environment; the last one counts.
std::optional<std::string> env_value(const Container& container, std::string_view name);

struct Image {  // GET /images/{name}/json
  std::string id;
  std::vector<std::string> repo_digests;
};
std::optional<Image> parse_image(std::string_view body);

struct Volume {  // GET /volumes/{name}, and the answer to POST /volumes/create
  std::string name;
  std::string driver;
  std::string mountpoint;  // path on the host
  Labels labels;
  std::map<std::string, std::string> options;  // of the driver: "type", "device", "o"
};
std::optional<Volume> parse_volume(std::string_view body);

struct EnvVar {
  std::string name;
  std::string value;
};

struct ExecConfig {  // POST /containers/{id}/exec
  std::vector<std::string> argv{};
  std::vector<EnvVar> env{};  // may hold secrets: shown nowhere, names only
  std::string user{};         // empty: the container's own
  std::string working_dir{};
  bool attach_stdin = false;
};
std::string to_body(const ExecConfig& config);

struct ExecStatus {  // GET /exec/{id}/json
  bool running = false;
  std::optional<std::int64_t> exit_code;  // null until it ended, and never 0 for "not known"
  std::int64_t pid = 0;                   // on the host
  std::string container_id;
};
std::optional<ExecStatus> parse_exec_status(std::string_view body);

// "Id" of the answers to POST .../exec and POST /containers/create.
std::optional<std::string> parse_id(std::string_view body);

// The engine's own words in an error body: {"message": "..."} or raw text, one line, at most 500
// bytes.
std::string error_message(std::string_view body);

// application/x-www-form-urlencoded for a query value or a path segment (RFC 3986 percent
// encoding).
std::string percent_encoded(std::string_view text);

}  // namespace bba::wire
