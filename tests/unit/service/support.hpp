// Targets and containers, made up for tests.
#pragma once

#include <string>
#include <vector>

#include "bba/service/capture.hpp"

namespace bba::test {

inline wire::Mount volume(const std::string& name, const std::string& destination, bool rw = true) {
  return {"volume", name, "/volumes/" + name + "/_data", destination, rw};
}

inline wire::Mount bind_mount(const std::string& source, const std::string& destination,
                              bool rw = true) {
  return {"bind", "", source, destination, rw};
}

inline service::MountChoice taken(const wire::Mount& mount) {
  return {mount, true, "a volume"};
}

inline service::MountChoice left_out(const wire::Mount& mount) {
  return {mount, false, "a test"};
}

inline wire::ContainerSummary summary(const std::string& name, std::vector<wire::Mount> mounts,
                                      const std::string& state = "running") {
  wire::ContainerSummary one;
  one.id = "id-of-" + name;
  one.names = {name};
  one.state = state;
  one.mounts = std::move(mounts);
  return one;
}

inline service::Target target(const std::string& module, char module_class = 'E',
                              std::vector<std::string> env = {}) {
  service::Target one;
  one.module = module;
  one.module_class = module_class;
  one.container.id = "id-of-" + module;
  one.container.name = module;
  one.container.running = true;
  one.container.state = "running";
  one.container.env = std::move(env);
  return one;
}

inline std::vector<std::string> names_of(const std::vector<service::Quiesced>& containers) {
  std::vector<std::string> names;
  for (const auto& one : containers) names.push_back(one.name);
  return names;
}

}  // namespace bba::test
