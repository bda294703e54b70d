#include "bba/restore/scratch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <sys/random.h>
#include <sys/statvfs.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "container_target.hpp"
#include "lend_configuration.hpp"

namespace bba::restore {

namespace {

constexpr int most_processes = 512;
// A server that has taken a large dump writes all of it before it ends.
constexpr std::chrono::minutes longest_end{10};
// What else grows with a restore: indexes, logs, the engine's own bookkeeping.
constexpr std::uint64_t least_margin = std::uint64_t{256} << 20;

std::string scratch_name(const std::string& module) {
  std::array<unsigned char, 6> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    throw system_error(ErrorKind::internal, "getrandom", errno);
  }
  std::string name = "bba-drill-" + module + "-";
  for (const unsigned char byte : random) name += fmt::format("{:02x}", byte);
  return name;
}

Json environment_of(const wire::Container& live, const service::FreshTarget& fresh) {
  Json env = Json::array();
  for (const std::string& variable : live.env) {
    const std::string name = variable.substr(0, variable.find('='));
    if (!fresh.unset_env.contains(name) && !fresh.set_env.contains(name)) env.push_back(variable);
  }
  for (const auto& [name, value] : fresh.set_env) env.push_back(name + "=" + value);
  return env;
}

// A request to stop must not stop the removal.
docker::Engine unstoppable_engine(run::Session& session) {
  docker::Limits limits;
  limits.silence = std::chrono::seconds(60);
  return session.engine.unstoppable(limits);
}

void remove_scratch(const ScratchContext& context, const store::JournalEntry& entry,
                    bool may_still_be_made) {
  try {
    docker::Engine engine = unstoppable_engine(context.session);
    if (!run::undo(engine, entry) && may_still_be_made) {
      context.session.reporter.note(
          fmt::format("the engine may still be making the scratch container {}: the guard goes on "
                      "looking for it",
                      entry.name));
      return;
    }
    context.cleanup.complete(entry);
  } catch (const Error& error) {
    const std::string what =
        fmt::format("the scratch container {} could not be removed: {}", entry.name, error.what());
    context.needs_hand.push_back(what);
    context.session.reporter.warning(what + "; run `backup-before-apply recover`");
  }
}

// `entry` is what the journal has from now on: by its id, once that is known.
void make_scratch(const ScratchContext& context, const service::FreshTarget& fresh,
                  store::JournalEntry& entry) {
  context.cleanup.record(entry);
  store::JournalEntry made = entry;
  made.id = context.session.engine.create_container(entry.name, scratch_body(context, fresh));
  context.cleanup.record(made);
  context.cleanup.complete(entry);
  entry = made;
}

// The volumes that the service asks for, and, where it wants them, those of the live container's
// data beside them.
std::vector<service::FreshVolume> volumes_of(const wire::Container& live,
                                             const service::FreshTarget& fresh) {
  std::vector<service::FreshVolume> volumes;
  const auto is_asked_for = [&](const std::string& destination) {
    return std::any_of(fresh.volumes.begin(), fresh.volumes.end(),
                       [&](const auto& one) { return destination == one.destination; });
  };
  if (fresh.data_volumes) {
    for (service::FreshVolume& volume : data_volumes(live)) {
      const bool unwanted = std::any_of(
          fresh.without.begin(), fresh.without.end(),
          [&](const std::string& path) { return lies_within(volume.destination, path); });
      if (!unwanted && !is_asked_for(volume.destination)) volumes.push_back(std::move(volume));
    }
  }
  volumes.insert(volumes.end(), fresh.volumes.begin(), fresh.volumes.end());
  return volumes;
}

Json labels_of(const ScratchContext& context) {
  return {{"bba.scratch", context.manifest.module}};
}

Json mount_of(const ScratchContext& context, const service::FreshVolume& volume) {
  const auto place = std::find_if(
      context.places.begin(), context.places.end(),
      [&](const run::BuiltPlace& one) { return one.destination == volume.destination; });
  const bool is_built = place != context.places.end();
  if (is_built && place->volume.empty()) {
    return {{"Type", "bind"}, {"Source", place->directory}, {"Target", volume.destination}};
  }
  Json mount = {{"Type", "volume"},
                {"Target", volume.destination},
                {"VolumeOptions", {{"NoCopy", !volume.copy_image_content}}}};
  if (is_built) {
    mount["Source"] = place->volume;
  } else {
    mount["VolumeOptions"]["Labels"] = labels_of(context);
  }
  return mount;
}

}  // namespace

void require_room(run::Session& session, std::uint64_t bytes) {
  const std::string root = session.engine.info().docker_root_dir;
  struct statvfs status {};
  const bool is_here = !root.empty() && (::statvfs((root + "/volumes").c_str(), &status) == 0 ||
                                         ::statvfs(root.c_str(), &status) == 0);
  if (!is_here) return;
  const std::uint64_t room = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (room > least_margin && (room - least_margin) / 11 * 10 >= bytes) return;
  throw Error(
      ErrorKind::storage,
      fmt::format("{}, where the engine keeps its volumes, has {} free, and that is too "
                  "little to restore {}: a drill must not fill the disk of running containers",
                  root, format_bytes(room), format_bytes(bytes)),
      fmt::format("make room: a drill needs what it restores, a tenth of it and {} more",
                  format_bytes(least_margin)));
}

Json scratch_body(const ScratchContext& context, const service::FreshTarget& fresh) {
  const wire::Container& live = context.live;
  Json mounts = Json::array();
  for (const service::FreshVolume& volume : volumes_of(live, fresh)) {
    mounts.push_back(mount_of(context, volume));
  }
  Json host = {{"NetworkMode", "none"},
               {"Memory", context.memory},
               {"PidsLimit", most_processes},
               {"RestartPolicy", {{"Name", "no"}}},
               {"Mounts", std::move(mounts)}};
  // What a server may need to come up, and reaches nothing outside.
  for (const char* key : {"ShmSize", "Tmpfs", "Ulimits", "Init"}) {
    const Json* value = member(live.host_config, key);
    if (value != nullptr && !value->is_null()) host[key] = *value;
  }
  Json body = {{"Image", context.image},
               {"Env", environment_of(live, fresh)},
               {"Labels", labels_of(context)},
               {"Healthcheck", {{"Test", {"NONE"}}}}};
  for (const char* key : {"Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal"}) {
    const Json* value = member(live.config, key);
    if (value != nullptr && !value->is_null()) body[key] = *value;
  }
  body["HostConfig"] = std::move(host);
  return body;
}

void with_scratch(const ScratchContext& context, const service::FreshTarget& fresh,
                  const std::function<void(const std::string&)>& action) {
  const std::string name = scratch_name(context.manifest.module);
  store::JournalEntry entry{store::CleanupKind::scratch, name, name};
  bool answered = false;
  std::exception_ptr failure;
  try {
    with_context("making the scratch container", [&] {
      try {
        make_scratch(context, fresh, entry);
        answered = true;
      } catch (const docker::ApiError& error) {
        answered = true;
        // Refused: none was made.
        if (error.status() < 500) context.cleanup.complete(entry);
        throw;
      }
    });
    action(entry.id);
  } catch (...) {
    failure = std::current_exception();
  }
  if (context.cleanup.has(entry)) remove_scratch(context, entry, !answered);
  if (failure) std::rethrow_exception(failure);
}

namespace {

void restore_into(ContainerTarget& target, const service::ArtifactKind& kind) {
  for (const auto& step : kind.restore(target.manifest(), target.record()).steps) {
    step->carry_out(target);
  }
}

// What it has written is in its files only once it has ended by itself.
void end_cleanly(const ScratchContext& context, const std::string& scratch) {
  docker::Engine& engine = context.session.engine;
  if (!engine.inspect(scratch).running) return;
  engine.stop(scratch, longest_end);
  const std::int64_t code = engine.inspect(scratch).exit_code;
  if (code == 0) return;
  throw Error(ErrorKind::capture,
              fmt::format("the server that was built did not end cleanly: exit code {}: {}", code,
                          trimmed(engine.logs(scratch, 5))));
}

}  // namespace

service::PartReport drill_artifact(const ScratchContext& context, const service::ArtifactKind& kind,
                                   const store::ArtifactRecord& record) {
  service::PartReport report;
  const auto drill = [&](const std::string& scratch) {
    ContainerTarget target(context, scratch, record, kind.implies_directories());
    restore_into(target, kind);
    kind.compare(target);
    report = std::move(target.report);
  };
  if (!kind.needs_target()) {
    drill("");
    return report;
  }
  const service::FreshTarget fresh = kind.fresh_target(context.live, context.manifest, record);
  with_scratch(context, fresh, [&](const std::string& scratch) {
    if (fresh.lend_configuration) lend_configuration(context, scratch, fresh.without);
    drill(scratch);
  });
  return report;
}

service::PartReport build_artifact(const ScratchContext& context, const service::ArtifactKind& kind,
                                   const service::ExchangePlace& place) {
  service::PartReport report;
  const service::FreshTarget fresh =
      kind.fresh_target(context.live, context.manifest, place.record);
  with_scratch(context, fresh, [&](const std::string& scratch) {
    if (fresh.lend_configuration) lend_configuration(context, scratch, fresh.without);
    ContainerTarget target(context, scratch, place.record, kind.implies_directories());
    restore_into(target, kind);
    // Before the comparison: after it a server may take only the passwords of the dump.
    kind.require_fit(place, target);
    kind.compare(target);
    end_cleanly(context, scratch);
    report = std::move(target.report);
  });
  return report;
}

}  // namespace bba::restore
