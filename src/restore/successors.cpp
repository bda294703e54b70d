#include "successors.hpp"

#include <array>
#include <optional>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "bba/run/recorded_container.hpp"

namespace bba::restore {

namespace {

const Json no_restart = Json{{"Name", "no"}, {"MaximumRetryCount", 0}};

Json policy_of(const wire::Container& container) {
  const Json* policy = member(container.host_config, "RestartPolicy");
  return policy == nullptr ? no_restart : *policy;
}

// Whether the name that the container was created by still means its image.
bool is_name_of_image(docker::Engine& engine, const wire::Container& container) {
  try {
    return engine.inspect_image(container.config_image).id == container.image;
  } catch (const docker::ApiError& error) {
    if (error.status() != 404) throw;
    return false;
  }
}

std::string make(docker::Engine& engine, const std::string& name, const wire::Container& model) {
  run::ContainerCreation creation = run::creation_of(model);
  creation.body["HostConfig"]["RestartPolicy"] = no_restart;
  // People and Compose know it by its name.
  if (is_name_of_image(engine, model)) creation.body["Image"] = model.config_image;
  std::string id = engine.create_container(name, creation.body);
  if (engine.inspect(id).image != model.image) {
    throw Error(ErrorKind::capture,
                fmt::format("{} has come to mean another image just now", model.config_image));
  }
  for (const auto& [network, endpoint] : creation.networks) {
    engine.connect_network(network, id, endpoint);
  }
  return id;
}

// The container as it has to be to live in the namespaces of those that replace others; nullopt
// where it lives in none that is replaced.
std::optional<wire::Container> moved_along(wire::Container container,
                                           const std::vector<run::Replacement>& replacements) {
  bool lives_there = false;
  for (const char* key : {"NetworkMode", "PidMode", "IpcMode"}) {
    const auto mode = string_member(container.host_config, key);
    for (const run::Replacement& one : replacements) {
      if (one.old_id.empty() || mode != "container:" + one.old_id) continue;
      container.host_config[key] = "container:" + one.new_id;
      lives_there = true;
    }
  }
  return lives_there ? std::optional(std::move(container)) : std::nullopt;
}

}  // namespace

void make_successors(docker::Engine& engine, const std::string& state_directory,
                     const std::vector<const wire::Container*>& recorded,
                     run::RestoreRecord& record, const std::function<void()>& note) {
  for (std::size_t i = 0; i < record.containers.size(); ++i) {
    const run::HeldContainer& held = record.containers[i];
    const wire::Container present = engine.inspect(held.id);
    const auto model = i < recorded.size() && recorded[i] != nullptr
                           ? std::optional(*recorded[i])
                           : moved_along(present, record.replacements);
    if (!model) continue;
    with_context(fmt::format("making container {} anew", held.name), [&] {
      run::keep_configuration(state_directory, record.module, record.time, present);
      record.replacements.push_back({held.id, "", held.name,
                                     run::name_of_replaced(held.name, record.time),
                                     policy_of(*model)});
      note();
      run::Replacement& made = record.replacements.back();
      made.new_id = make(engine, made.aside, *model);
      note();
    });
  }
}

void require_predecessors(docker::Engine& engine, const std::string& state_directory,
                          run::RestoreRecord& record) {
  std::vector<run::Replacement> again;  // from the id that is gone to the one that was made
  for (run::Replacement& one : record.replacements) {
    // The services are there; another one that is gone has nothing to be put aside.
    const auto present = engine.find(one.name);
    one.old_id = present ? present->id : "";
    if (present) {
      run::keep_configuration(state_directory, record.module, record.time, *present);
    }
    with_context(fmt::format("making container {}, which was put aside, again", one.aside), [&] {
      const auto there = engine.find(one.new_id);
      wire::Container model =
          there ? *there
                : run::kept_configuration(state_directory, record.module, record.time, one.new_id);
      const auto moved = moved_along(model, again);
      if (moved) model = *moved;
      if (there && !moved) return;
      // One that lives in a namespace that is gone can never be started again.
      // Its anonymous volumes are named by the one that is made.
      engine.remove_container_alone(one.aside);
      const std::string made = make(engine, one.aside, model);
      again.push_back({one.new_id, made, one.name, one.aside, {}});
      one.new_id = made;
    });
  }
}

}  // namespace bba::restore
