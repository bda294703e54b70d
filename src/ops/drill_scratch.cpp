#include <array>
#include <chrono>
#include <exception>
#include <sys/random.h>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/ops/drill_part.hpp"

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

// `id` is its name where nobody knows whether it was made.
void remove_scratch(const DrillContext& context, const store::JournalEntry& debt,
                    const std::string& id) {
  try {
    docker::Engine engine = unstoppable_engine(context.session);
    pay(engine, {debt.debt, id, debt.name});
    context.debts.settle(debt);
  } catch (const Error& error) {
    const std::string what =
        fmt::format("the scratch container {} could not be removed: {}", debt.name, error.what());
    context.needs_hand.push_back(what);
    context.session.reporter.warning(what + "; run `backup-before-apply recover`");
  }
}

std::string create_scratch(const DrillContext& context, const ScratchSpec& spec,
                           const store::JournalEntry& debt) {
  context.debts.owe(debt);
  try {
    return context.session.engine.create_container(debt.id, scratch_body(context, spec));
  } catch (const docker::ApiError& error) {
    // Refused outright: there is none.
    if (error.status() < 500) context.debts.settle(debt);
    throw;
  }
}

}  // namespace

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
  // By its name, as nobody knows its id before it is made.
  const store::JournalEntry debt{store::Debt::scratch, name, name};
  std::string id = name;
  std::exception_ptr failure;
  try {
    id = with_context("making the scratch container",
                      [&] { return create_scratch(context, spec, debt); });
    action(id);
  } catch (...) {
    failure = std::current_exception();
  }
  if (context.debts.owes(debt)) remove_scratch(context, debt, id);
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
