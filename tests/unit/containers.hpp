// Containers as the engine lists them, made up for tests.
#pragma once

#include <string>
#include <vector>

#include "bba/wire/message.hpp"

namespace bba::test {

inline wire::Mount volume(const std::string& name, const std::string& destination) {
  return {"volume", name, "/var/lib/docker/volumes/" + name + "/_data", destination, true};
}

inline wire::Mount bind_mount(const std::string& source, const std::string& destination,
                              bool rw = true) {
  return {"bind", "", source, destination, rw};
}

inline wire::ContainerSummary container(const std::string& name,
                                        const std::string& state = "running",
                                        std::vector<wire::Mount> mounts = {}) {
  wire::ContainerSummary one;
  one.id = "id-of-" + name;
  one.names = {name};
  one.image = "example/" + name + ":1";
  one.state = state;
  one.mounts = std::move(mounts);
  return one;
}

// A container with Compose's labels, and with Compose's name where none is given.
inline wire::ContainerSummary compose_container(const std::string& project,
                                                const std::string& service,
                                                const std::string& name = {},
                                                const std::string& state = "running") {
  wire::ContainerSummary one =
      container(name.empty() ? project + "-" + service + "-1" : name, state);
  one.labels = {{"com.docker.compose.project", project},
                {"com.docker.compose.service", service},
                {"com.docker.compose.oneoff", "False"},
                {"com.docker.compose.project.working_dir", "/opt/" + project}};
  return one;
}

}  // namespace bba::test
