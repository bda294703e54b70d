// The configuration, /etc/backup-before-apply.yaml: every default of the program, the class rules,
// and settings for single modules. docs/configuration.md describes it; fixtures/config/example.yaml
// shows all of it. Unknown keys are errors with the nearest name; every error names file, line and
// column.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bba::conf {

// What a class is chosen by. Patterns are globs (* and ?); the first rule that matches wins, and
// module names are tried before images (all rules' modules first, then all rules' images).
struct ClassRule {
  char module_class = 0;             // the letter of a service
  std::vector<std::string> modules;  // globs for module ids
  std::vector<std::string>
      images;  // globs for image names, less registry, tag and digest: "postgres", "bitnami/*"
};

struct ModuleSettings {
  std::optional<char> module_class;
  std::optional<std::string> container;
  std::vector<std::string> paths;     // archived instead of the mounts
  std::vector<std::string> excludes;  // globs on paths inside the container, left out of archives
  std::optional<std::string> consistency;  // auto, pause, stop, live
  std::optional<std::string> user;         // database user, or ACL user
  std::vector<std::string> env;  // names of the operator's environment to pass into the exec
  std::optional<std::string>
      compose_root;  // class G: the project's directory, where labels do not say it
};

struct Config {
  std::string platform_root = "/opt/pdurlej-platform";
  std::optional<std::string> backup_dir;  // default <platform_root>/backups
  std::string state_dir = "/var/lib/backup-before-apply/state";
  std::string proof_dir = "/var/lib/backup-before-apply/proofs";
  std::optional<std::string> host;
  std::string compression = "gzip";
  std::string consistency = "auto";
  std::chrono::seconds connect_timeout{5};
  std::chrono::seconds silence_timeout{60};
  std::optional<std::chrono::seconds> timeout;  // for a whole command
  std::chrono::seconds lock_wait_timeout{60};   // pg_dumpall --lock-wait-timeout
  double max_shrink = 0.8;             // gate: a set smaller by more than this share is refused
  std::vector<ClassRule> class_rules;  // empty: those of the services
  std::map<std::string, ModuleSettings> modules;
};

// A file that is not there is the default configuration, unless `must_exist`. `classes`: the
// letters that a class may have. Throws Error{config}.
Config load_config(const std::string& path, bool must_exist, std::string_view classes);
Config parse_config(const std::string& text, const std::string& file_name,
                    std::string_view classes);

struct ClassChoice {
  char module_class = 0;
  std::string why;  // "module name matches *postgres (class A)"
};
// The first rule that matches; nullopt where none does. `image` is a name as containers have it
// ("docker.io/library/postgres:16@sha256:...").
std::optional<ClassChoice> choose_class(const std::vector<ClassRule>& rules,
                                        const std::string& module_id, const std::string& image);
// Less registry host, "library/", tag and digest: "postgres".
std::string image_repository(const std::string& image);

}  // namespace bba::conf
