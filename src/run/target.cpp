#include "bba/run/target.hpp"

#include "bba/base/error.hpp"

namespace bba::run {

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
  // A configured name needs no platform files.
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

}  // namespace bba::run
