// Who has to be stopped before a directory is exchanged.
#include <algorithm>
#include <array>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/restore/exchange_service.hpp"
#include "bba/service/mounts.hpp"

namespace bba::restore {

namespace {

bool uses(std::vector<wire::Mount> mounts, const std::vector<std::string>& directories) {
  service::resolve_sources(mounts);
  return std::any_of(mounts.begin(), mounts.end(), [&](const wire::Mount& mount) {
    if (mount.source.empty() || mount.type == "tmpfs") return false;
    return std::any_of(directories.begin(), directories.end(), [&](const std::string& directory) {
      return lies_within(mount.source, directory) ||
             (mount.rw && lies_within(directory, mount.source));
    });
  });
}

// Once the other one is started again, this one would have no network, or no processes to see.
bool shares_namespace(const wire::Container& container, const wire::Container& service) {
  const std::string by_id = "container:" + service.id;
  const std::string by_name = "container:" + service.name;
  constexpr std::array keys{"NetworkMode", "PidMode", "IpcMode"};
  return std::any_of(keys.begin(), keys.end(), [&](const char* key) {
    const auto mode = string_member(container.host_config, key);
    return mode == by_id || mode == by_name;
  });
}

run::HeldContainer held(const wire::Container& container) {
  if (container.paused) {
    throw Error(ErrorKind::container, container.name + " is paused: it cannot be stopped",
                "docker unpause " + container.name);
  }
  if (container.auto_remove) {
    throw Error(ErrorKind::container,
                container.name +
                    " was started with --rm: the engine removes it, and its volumes "
                    "without a name, when it stops",
                "end it yourself, or make it anew without --rm");
  }
  const Json* policy = member(container.host_config, "RestartPolicy");
  return {container.id, container.name, container.running,
          policy == nullptr ? Json{{"Name", "no"}} : *policy};
}

}  // namespace

std::vector<run::HeldContainer> users_of(docker::Engine& engine,
                                         const std::vector<const wire::Container*>& services,
                                         const std::vector<std::string>& directories) {
  std::vector<run::HeldContainer> users;
  for (const wire::Container* service : services) users.push_back(held(*service));
  for (const wire::ContainerSummary& one : engine.list(Json::object(), true)) {
    const bool is_service = std::any_of(services.begin(), services.end(),
                                        [&](const auto* service) { return service->id == one.id; });
    if (is_service || one.labels.contains("bba.parked") || one.labels.contains("bba.scratch") ||
        run::is_name_of_replaced(wire::name_of(one))) {
      continue;
    }
    const bool is_user = uses(one.mounts, directories);
    if (!is_user && !wire::is_up(one)) continue;
    const auto container = engine.find(one.id);
    if (!container) continue;  // it has just gone
    const bool lives_there =
        std::any_of(services.begin(), services.end(),
                    [&](const auto* service) { return shares_namespace(*container, *service); });
    if (is_user || lives_there) users.push_back(held(*container));
  }
  return users;
}

}  // namespace bba::restore
