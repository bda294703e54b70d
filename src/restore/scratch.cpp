#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/restore/scratch.hpp"

namespace bba::ops {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int most_processes = 512;

std::string scratch_name(const std::string& module) {
  std::array<unsigned char, 6> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    throw system_error(ErrorKind::internal, "getrandom", errno);
  }
  std::string name = "bba-drill-" + module + "-";
  for (const unsigned char byte : random) name += fmt::format("{:02x}", byte);
  return name;
}

Json environment_of(const wire::Container& live, const ScratchSpec& spec) {
  Json env = Json::array();
  for (const std::string& variable : live.env) {
    const std::string name = variable.substr(0, variable.find('='));
    if (!spec.unset_env.contains(name) && !spec.set_env.contains(name)) env.push_back(variable);
  }
  for (const auto& [name, value] : spec.set_env) env.push_back(name + "=" + value);
  return env;
}

// A request to stop must not stop the removal.
docker::Engine unstoppable_engine(Session& session) {
  docker::Limits limits;
  limits.silence = std::chrono::seconds(60);
  return session.engine.unstoppable(limits);
}

void remove_scratch(const DrillContext& context, const store::JournalEntry& debt,
                    bool may_still_be_made) {
  try {
    docker::Engine engine = unstoppable_engine(context.session);
    if (!pay(engine, debt) && may_still_be_made) {
      context.session.reporter.note(
          fmt::format("the engine may still be making the scratch container {}: the guard goes on "
                      "looking for it",
                      debt.name));
      return;
    }
    context.debts.settle(debt);
  } catch (const Error& error) {
    const std::string what =
        fmt::format("the scratch container {} could not be removed: {}", debt.name, error.what());
    context.needs_hand.push_back(what);
    context.session.reporter.warning(what + "; run `backup-before-apply recover`");
  }
}

// `debt` is what is owed from now on: by its id, once that is known.
void make_scratch(const DrillContext& context, const ScratchSpec& spec, store::JournalEntry& debt) {
  context.debts.owe(debt);
  store::JournalEntry made = debt;
  made.id = context.session.engine.create_container(debt.name, scratch_body(context, spec));
  context.debts.owe(made);
  context.debts.settle(debt);
  debt = made;
}

// What else grows with a restore: indexes, logs, the engine's own bookkeeping.
constexpr std::uint64_t least_margin = std::uint64_t{256} << 20;

}  // namespace

void require_room(Session& session, const store::Manifest& manifest) {
  std::uint64_t largest = 0;  // each has a scratch container of its own, one after another
  for (const store::ArtifactRecord& one : manifest.artifacts) {
    if (one.kind != "raft-snapshot") largest = std::max(largest, one.uncompressed_bytes);
  }
  const std::string root = session.engine.info().docker_root_dir;
  struct statvfs status {};
  const bool is_here = !root.empty() && (::statvfs((root + "/volumes").c_str(), &status) == 0 ||
                                         ::statvfs(root.c_str(), &status) == 0);
  if (!is_here) return;
  const std::uint64_t room = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (room > least_margin && (room - least_margin) / 11 * 10 >= largest) return;
  throw Error(ErrorKind::storage,
              fmt::format("{}, where the engine keeps its volumes, has {} free, and that is too "
                          "little to restore {}: a drill must not fill the disk of what runs",
                          root, format_bytes(room), format_bytes(largest)),
              fmt::format("make room: a drill wants a tenth and {} more than it restores",
                          format_bytes(least_margin)));
}

Json scratch_body(const DrillContext& context, const ScratchSpec& spec) {
  const wire::Container& live = context.live;
  const Json labels = {{"bba.scratch", context.manifest.module}};
  Json mounts = Json::array();
  for (const ScratchVolume& volume : spec.volumes) {
    mounts.push_back(
        {{"Type", "volume"},
         {"Target", volume.destination},
         {"VolumeOptions", {{"NoCopy", !volume.copy_image_content}, {"Labels", labels}}}});
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
               {"Env", environment_of(live, spec)},
               {"Labels", labels},
               {"Healthcheck", {{"Test", {"NONE"}}}}};
  for (const char* key : {"Entrypoint", "Cmd", "User", "WorkingDir"}) {
    const Json* value = member(live.config, key);
    if (value != nullptr && !value->is_null()) body[key] = *value;
  }
  body["HostConfig"] = std::move(host);
  return body;
}

void with_scratch(const DrillContext& context, const ScratchSpec& spec,
                  const std::function<void(const std::string&)>& action) {
  const std::string name = scratch_name(context.manifest.module);
  store::JournalEntry debt{store::Debt::scratch, name, name};
  bool answered = false;
  std::exception_ptr failure;
  try {
    with_context("making the scratch container", [&] {
      try {
        make_scratch(context, spec, debt);
        answered = true;
      } catch (const docker::ApiError& error) {
        answered = true;
        // Refused outright: there is none.
        if (error.status() < 500) context.debts.settle(debt);
        throw;
      }
    });
    action(debt.id);
  } catch (...) {
    failure = std::current_exception();
  }
  if (context.debts.owes(debt)) remove_scratch(context, debt, !answered);
  if (failure) std::rethrow_exception(failure);
}

void start_scratch(const DrillContext& context, const std::string& scratch,
                   const std::function<bool()>& answers, std::chrono::seconds patience) {
  Session& session = context.session;
  session.engine.start(scratch);
  const auto deadline = Clock::now() + patience;
  for (;;) {
    try {
      if (answers()) return;
    } catch (const docker::ApiError&) {
      // It may have ended meanwhile: the next look tells.
    }
    const wire::Container now = session.engine.inspect(scratch);
    if (!now.running || Clock::now() > deadline) {
      const std::string log = session.engine.logs(scratch, 5);
      throw Error(ErrorKind::capture,
                  fmt::format("the scratch container {}: {}",
                              now.running ? "does not answer" : "does not stay up", trimmed(log)),
                  "it runs what the live container runs, without network and with little memory: "
                  "does it need more (--memory), or another container?");
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(100ms);
  }
}

}  // namespace bba::ops
