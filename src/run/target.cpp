#include "bba/run/target.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "bba/base/error.hpp"

namespace bba::ops {

conf::ModuleSettings module_settings(const conf::Config& config, const std::string& module) {
  const auto found = config.modules.find(module);
  return found == config.modules.end() ? conf::ModuleSettings{} : found->second;
}

std::vector<wire::EnvVar> lent_variables(const conf::ModuleSettings& settings,
                                         const std::map<std::string, std::string>& environment) {
  std::vector<wire::EnvVar> lent;
  for (const std::string& name : settings.env) {
    const auto value = environment.find(name);
    if (value != environment.end()) lent.push_back({name, value->second});
  }
  return lent;
}

LookupClues clues_of(const conf::Config& config, const std::string& platform_root,
                     const std::string& module) {
  LookupClues clues;
  clues.module = module;
  clues.configured = module_settings(config, module).container;
  // A name that somebody wrote down needs no platform files.
  if (clues.configured) return clues;
  std::vector<std::string> unread;
  std::vector<std::string> runbook_names;
  const conf::Compose compose = conf::load_compose(platform_root, unread);
  try {
    runbook_names = conf::runbook_containers(platform_root, module);
  } catch (const Error& error) {
    unread.emplace_back(error.what());
  }
  clues = clues_in_files(module, compose, std::move(runbook_names));
  clues.unread = std::move(unread);
  return clues;
}

LookupClues clues_in_files(const std::string& module, const conf::Compose& compose,
                           std::vector<std::string> runbook_names) {
  LookupClues clues;
  clues.module = module;
  for (const conf::ComposeService& service : compose.services) {
    if (service.name == module && !service.container_name.empty()) {
      clues.compose_names.push_back(service.container_name);
    }
  }
  clues.projects = compose.projects;
  clues.runbook_names = std::move(runbook_names);
  return clues;
}

conf::ClassChoice class_of(const conf::Config& config, const std::string& module,
                           const std::string& image) {
  const conf::ModuleSettings settings = module_settings(config, module);
  if (settings.module_class) {
    return {*settings.module_class, "configuration modules." + module + ".class"};
  }
  return conf::choose_class(config.class_rules, module, image);
}

classes::SourceKind source_kind(const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return classes::SourceKind::unreachable;
  if (S_ISDIR(status.st_mode)) return classes::SourceKind::directory;
  if (S_ISREG(status.st_mode)) return classes::SourceKind::file;
  return classes::SourceKind::other;
}

std::string resolved(const std::string& path) {
  std::error_code failed;
  const auto whole = std::filesystem::absolute(path, failed);
  if (failed) return path;
  const auto real = std::filesystem::weakly_canonical(whole, failed);
  return failed ? path : real.string();
}

void resolve_sources(std::vector<wire::Mount>& mounts) {
  for (wire::Mount& mount : mounts) {
    if (!mount.source.empty()) mount.source = resolved(mount.source);
  }
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "this host";
}

bool same_host(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const auto equal = [&](std::string_view x, std::string_view y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](char c, char d) { return lower(c) == lower(d); });
  };
  // A short name stands for a full one; two full ones are to be equal.
  const bool both_full = a.find('.') != a.npos && b.find('.') != b.npos;
  return both_full ? equal(a, b) : equal(a.substr(0, a.find('.')), b.substr(0, b.find('.')));
}

}  // namespace bba::ops
