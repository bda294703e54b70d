// The platform as its files describe it: modules/<id>/module.yaml, compose/{apps,core,edge,base}/
// compose.yaml, modules/<id>/runbook.md. Reading is strict about types (file, line and column),
// indifferent to unknown keys, and bounded: a file over 10 MiB, an alias bomb or a cycle is an
// error, not a hang.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bba::conf {

enum class Statefulness { unknown, stateful, stateless, sidecar_bound };

struct Module {    // modules/<id>/module.yaml
  std::string id;  // the directory's name
  Statefulness statefulness = Statefulness::unknown;
  std::string host;                             // spec.runtime.host
  std::string image_observed;                   // spec.runtime.image_observed
  std::vector<std::string> backup_ref_modules;  // spec.release.backup_ref_modules
};

struct ComposeVolume {
  std::string source;  // volume name, host path, or empty for an anonymous one
  std::string target;
  bool read_only = false;
  std::string type;  // volume, bind, tmpfs; short syntax: bind where the source is a path
};

struct ComposeService {
  std::string name;
  std::string container_name;  // empty where it is not set
  std::string image;
  std::vector<ComposeVolume> volumes;
  std::string stack;  // apps, core, edge, base
};

struct Compose {
  std::vector<ComposeService> services;
  // One for each stack whose file says, or by its directory implies, what Compose calls the
  // project.
  std::vector<std::string> projects;
};

struct Platform {
  std::string root;
  std::map<std::string, Module> modules;
  Compose compose;
  std::vector<std::string> problems;  // files that could not be read: "file:line:column: what"
};

// One module alone; nullopt where modules/<id>/module.yaml is not there. Throws Error{config}.
std::optional<Module> load_module(const std::string& root, const std::string& id);
// The four stacks, `include` followed, as far as they can be read; what is broken becomes a
// problem.
Compose load_compose(const std::string& root, std::vector<std::string>& problems);
// Everything, for audit; what is broken becomes a problem instead of an error.
Platform load_platform(const std::string& root);
// Names that modules/<id>/runbook.md uses in `docker exec|logs|inspect|restart NAME`, in order,
// once each.
std::vector<std::string> runbook_containers(const std::string& root, const std::string& id);
std::vector<std::string> containers_in_runbook(std::string_view text);
// The ids that have a directory below <root>/modules, sorted.
std::vector<std::string> module_ids(const std::string& root);

}  // namespace bba::conf
