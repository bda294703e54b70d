#include "bba/restore/exchange_service.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "carry_over.hpp"
#include "container_target.hpp"
#include "successors.hpp"

namespace bba::restore {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using run::RestorePhase;

// How long a service that says nothing of itself has to stay up to be believed.
constexpr auto least_uptime = 2s;

// For what must be done although a request to stop has come.
docker::Engine unstoppable(run::Session& session) {
  docker::Limits limits;
  limits.silence = 60s;
  return session.engine.unstoppable(limits);
}

// ---- the places

// The names of what is made for a restore: told apart from any other by the module and the time.
std::string parked_name(const std::string& module, Timestamp time, std::size_t number) {
  return fmt::format("bba-parked-{}-{}-{}", module, format_compact(time), number);
}

std::vector<run::BuiltPlace> named_places(const std::string& module, Timestamp time,
                                          const std::vector<const RestorePart*>& parts) {
  std::vector<run::BuiltPlace> places;
  for (const RestorePart* part : parts) {
    const service::ExchangePlace& place = part->place;
    const auto& mounts = place.live.mounts;
    const auto mount = std::find_if(mounts.begin(), mounts.end(), [&](const wire::Mount& one) {
      return one.destination == place.destination;
    });
    const std::string name = parked_name(module, time, places.size() + 1);
    if (mount != mounts.end() && mount->type == "volume") {
      places.push_back({place.destination, "", name});
    } else {
      places.push_back({place.destination, parent_of(place.host_path) + "/." + name, ""});
    }
  }
  return places;
}

// It refers to the volumes, so that the engine does not take them for unused ones, and never runs.
Json keeper_body(const std::string& image, const run::RestoreRecord& record) {
  Json mounts = Json::array();
  for (const run::BuiltPlace& place : record.places) {
    if (place.volume.empty()) continue;
    mounts.push_back({{"Type", "volume"},
                      {"Source", place.volume},
                      {"Target", "/" + place.volume},
                      {"VolumeOptions", {{"NoCopy", true}}}});
  }
  // An image need not have a command, and the engine wants one.
  return {{"Image", image},
          {"Cmd", Json::array({"true"})},
          {"Labels", {{"bba.parked", record.module}}},
          {"HostConfig", {{"NetworkMode", "none"}, {"Mounts", std::move(mounts)}}}};
}

void make_places(docker::Engine& engine, const std::string& image, run::RestoreRecord& record) {
  for (run::BuiltPlace& place : record.places) {
    if (place.volume.empty()) {
      if (::mkdir(place.directory.c_str(), 0700) != 0) {
        throw system_error(ErrorKind::storage, "making " + place.directory, errno);
      }
    } else {
      const wire::Volume made = engine.create_volume(
          place.volume, {{"bba.parked", record.module}, {"bba.parked.set", record.set}});
      place.directory = made.mountpoint;
    }
  }
  if (!record.keeper.empty()) {
    engine.create_container(record.keeper, keeper_body(image, record));
  }
}

service::PartReport build(const ScratchContext& context, const RestorePart& part) {
  try {
    return build_artifact(context, *part.kind, part.place);
  } catch (Error& error) {
    // Whoever says it: the engine, the server, its client.
    if (std::string_view(error.what()).find("o space left") != std::string_view::npos) {
      error.with_kind(ErrorKind::storage).with_hint("make room on the disk of the volumes");
    }
    error.in("building " + part.place.record.file);
    throw;
  }
}

// ---- the exchange

void sync_file_system_of(const std::string& directory) {
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) {
    throw system_error(ErrorKind::storage, "syncing the file system of " + directory, errno);
  }
}

// A restore whose steps are in the journal from before they are made.
class JournalledRestore {
 public:
  JournalledRestore(run::Session& session, run::Cleanup& cleanup, run::RestoreRecord record)
      : session_(session), cleanup_(cleanup), record_(std::move(record)) {
    note(record_.phase);
  }

  run::RestoreRecord& record() noexcept { return record_; }
  // The id by which a service runs in the end.
  const std::string& service(std::size_t number) const {
    return run::final_id(record_, record_.containers[number].id);
  }

  // Where the journal cannot be written (a full disk), the phase stays what it was.
  void note(RestorePhase phase) {
    run::RestoreRecord next = record_;
    next.phase = phase;
    cleanup_.record(run::journal_entry(next));
    record_.phase = phase;
  }

  // Stops, exchanges, starts one service after the other and lets `prove` look at each, which
  // throws where it does not run as it should. `prepare` is called once nobody uses the directories
  // any more.
  void exchange(const std::function<void()>& prepare,
                const std::function<Clock::time_point(std::size_t)>& prove) {
    note(RestorePhase::exchanging);
    stopped_ = Clock::now();
    run::stop_users(session_.engine, record_.containers, run::directories_of(record_.pairs));
    prepare();
    for (const run::ExchangePair& pair : record_.pairs) sync_file_system_of(pair.built);
    session_.stop.throw_if_requested();
    for (const run::ExchangePair& pair : record_.pairs) run::exchange(pair);
    for (const run::Replacement& one : record_.replacements) run::replace(session_.engine, one);
    note(RestorePhase::started);
    for (std::size_t i = 0; i < record_.services; ++i) {
      session_.engine.start(service(i));
      down_ = prove(i) - stopped_;
    }
    note(RestorePhase::proven);
  }

  // Finishes what was proven, and undoes everything else.
  std::string end() {
    docker::Engine engine = unstoppable(session_);
    run::RestoreEnd end = run::end_restore(engine, session_.settings.state_dir, record_);
    cleanup_.complete(run::journal_entry(record_));
    for (std::string& line : end.not_started) {
      session_.reporter.warning(line);
      not_started_.push_back(std::move(line));
    }
    return end.said;
  }

  std::chrono::duration<double> down() const noexcept { return down_; }
  const std::vector<std::string>& not_started() const noexcept { return not_started_; }

 private:
  run::Session& session_;
  run::Cleanup& cleanup_;
  run::RestoreRecord record_;
  Clock::time_point stopped_;
  std::chrono::duration<double> down_{};
  std::vector<std::string> not_started_;
};

// Runs the steps, and brings the restore to its end whatever they do.
void carry_out(JournalledRestore& restore, run::Session& session,
               const std::function<void()>& steps) {
  const auto unfinished = [](const std::string& why) {
    return Error(ErrorKind::unfinished, why,
                 "the service may be down: run `backup-before-apply recover`");
  };
  try {
    steps();
  } catch (Error& error) {
    session.reporter.progress_end();
    try {
      error.in(restore.end());
    } catch (const Error& worse) {
      throw unfinished(fmt::format("{} (and before that: {})", worse.what(), error.what()));
    }
    throw;
  }
  try {
    restore.end();
  } catch (const Error& error) {
    throw unfinished(error.what());
  }
}

// ---- the proof

// Whether it answers; nullopt where it has no way to.
using Serves = std::function<std::optional<bool>()>;

// The moment from which on it served.
Clock::time_point wait_until_it_serves(run::Session& session, docker::Engine& engine,
                                       const std::string& id, std::chrono::seconds patience,
                                       const Serves& serves) {
  const auto started = Clock::now();
  for (;;) {
    const wire::Container now = engine.inspect(id);
    const auto fail = [&](const std::string& how) {
      throw Error(ErrorKind::capture, fmt::format("{} {} on what was restored: {}", now.name, how,
                                                  trimmed(engine.logs(id, 5))));
    };
    if (!now.running) fail("does not stay up");
    if (now.health == "unhealthy") fail("is unhealthy");
    const auto seen = Clock::now();
    if (now.health.empty() || now.health == "healthy") {
      const std::optional<bool> answers = serves();
      if (answers.value_or(now.health == "healthy")) return seen;
      // It says nothing of itself.
      if (!answers && seen - started > least_uptime) return started;
    }
    if (seen - started > patience) {
      fail(now.health == "starting" ? "does not become healthy" : "does not answer");
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(100ms);
  }
}

std::optional<bool> all_serve(const ScratchContext& context, const std::string& service,
                              const std::vector<RestorePart>& parts) {
  std::optional<bool> all;
  for (const RestorePart& part : parts) {
    ContainerTarget target(context, service, part.place.record, false);
    const std::optional<bool> one = part.kind->serves(target);
    if (one) all = all.value_or(true) && *one;
  }
  return all;
}

// What only the running service can tell. One that ends again and again cannot be asked, and is
// what a restore is needed for most.
void ask_service(const ScratchContext& context, const run::HeldContainer& present,
                 const std::vector<RestorePart>& parts) {
  if (!present.ran) return;
  for (const RestorePart& part : parts) {
    ContainerTarget live(context, present.id, part.place.record, false);
    try {
      part.kind->require_exchangeable(part.place, &live);
    } catch (const docker::ApiError& error) {
      if (error.status() != 409) throw;
      context.session.reporter.note(fmt::format("{} does not stay up, and was asked nothing: {}",
                                                present.name, error.what()));
    }
  }
}

std::vector<const RestorePart*> parts_of(const ExchangeRequest& request) {
  std::vector<const RestorePart*> parts;
  for (const ServiceRestore& service : request.services) {
    for (const RestorePart& part : service.parts) parts.push_back(&part);
  }
  return parts;
}

run::RestoreRecord record_of(const ExchangeRequest& request) {
  run::RestoreRecord record;
  record.module = request.module;
  record.set = request.set;
  record.time = request.time;
  record.containers = request.users;
  record.services = request.services.size();
  record.places = named_places(request.module, request.time, parts_of(request));
  const bool has_volume =
      std::any_of(record.places.begin(), record.places.end(),
                  [](const run::BuiltPlace& place) { return !place.volume.empty(); });
  if (has_volume) record.keeper = parked_name(request.module, request.time, 0);
  return record;
}

// What the set does not hold, from what the service has now that nobody uses it any more.
void carry_over_part(run::Session& session, const RestorePart& part, const std::string& built,
                     ExchangeOutcome& outcome) {
  const CarriedOver carried = carry_over(part.place.host_path, built, [&](const std::string& path) {
    return part.kind->carries_over(part.place, part.place.destination + path);
  });
  // An archive has the directory's own owner and mode.
  const bool is_archive = part.place.record.source == part.place.destination;
  carry_over_root(part.place.host_path, built, !is_archive);
  for (const std::string& path : carried.paths) {
    outcome.carried_over.push_back(part.place.destination + path);
  }
  for (const std::string& path : carried.without_place) {
    session.reporter.warning(
        fmt::format("{}{} stays in what is put aside: what is restored has no directory for it",
                    part.place.destination, path));
  }
}

// Builds a service's parts into the record's places from number `first` on.
void build_service(const ScratchContext& context, const ServiceRestore& service, std::size_t first,
                   run::RestoreRecord& record, ExchangeOutcome& outcome) {
  for (std::size_t i = 0; i < service.parts.size(); ++i) {
    const RestorePart& part = service.parts[i];
    const std::string& file = part.place.record.file;
    const std::string& built = record.places[first + i].directory;
    const service::PartReport report = build(context, part);
    for (const std::string& line : report.lines) outcome.lines.push_back(file + ": " + line);
    for (const std::string& line : report.not_proven) {
      outcome.not_proven.push_back(file + ": " + line);
    }
    run::require_exchangeable(part.place.host_path, built);
    record.pairs.push_back(
        {part.place.host_path, built, part.directory, run::file_id(built).value()});
  }
}

}  // namespace

ExchangeOutcome restore_by_exchange(run::Session& session, run::Cleanup& cleanup,
                                    const ExchangeRequest& request,
                                    std::vector<std::string>& needs_hand) {
  const std::vector<const RestorePart*> parts = parts_of(request);
  std::vector<wire::Container> models;  // of the scratch containers; those of a rollback below
  std::vector<const wire::Container*> recorded;
  for (const ServiceRestore& service : request.services) {
    models.push_back(service.container);
    recorded.push_back(service.recorded);
  }
  const auto context_of = [&](std::size_t number) {
    const ServiceRestore& service = request.services[number];
    return ScratchContext{session,
                          cleanup,
                          service.directory,
                          service.manifest,
                          models[number],
                          models[number].image,
                          0,
                          needs_hand,
                          {}};
  };
  for (std::size_t i = 0; i < request.services.size(); ++i) {
    ask_service(context_of(i), request.users[i], request.services[i].parts);
  }

  ExchangeOutcome outcome;
  JournalledRestore restore(session, cleanup, record_of(request));
  run::RestoreRecord& record = restore.record();
  outcome.keeper = record.keeper;
  carry_out(restore, session, [&] {
    make_places(session.engine, models.front().image, record);
    restore.note(RestorePhase::building);
    make_successors(session.engine, session.settings.state_dir, recorded, record,
                    [&] { restore.note(RestorePhase::building); });
    for (const run::Replacement& one : record.replacements) outcome.put_aside.push_back(one.aside);
    std::size_t first = 0;
    for (std::size_t i = 0; i < request.services.size(); ++i) {
      const ServiceRestore& service = request.services[i];
      // What is recorded is not there; the container that was made like it is.
      if (service.recorded != nullptr) models[i].id = restore.service(i);
      ScratchContext building = context_of(i);
      const auto places = record.places.begin() + static_cast<std::ptrdiff_t>(first);
      building.places.assign(places, places + static_cast<std::ptrdiff_t>(service.parts.size()));
      build_service(building, service, first, record, outcome);
      first += service.parts.size();
    }
    restore.exchange(
        [&] {
          for (std::size_t i = 0; i < parts.size(); ++i) {
            carry_over_part(session, *parts[i], record.places[i].directory, outcome);
          }
        },
        [&](std::size_t number) {
          const ScratchContext context = context_of(number);
          return wait_until_it_serves(
              session, session.engine, restore.service(number), request.patience, [&] {
                return all_serve(context, restore.service(number), request.services[number].parts);
              });
        });
  });
  outcome.down = restore.down();
  outcome.not_started = restore.not_started();
  return outcome;
}

ExchangeOutcome undo_by_exchange(run::Session& session, run::Cleanup& cleanup,
                                 const run::ParkedState& parked,
                                 std::vector<run::HeldContainer> users,
                                 std::chrono::seconds patience) {
  run::RestoreRecord record;
  record.module = parked.module;
  record.set = parked.set;
  record.time = parked.time;
  record.is_undo = true;
  record.phase = RestorePhase::exchanging;
  record.containers = std::move(users);
  record.services = parked.services.size();
  record.places = parked.places;
  record.pairs = parked.pairs;
  record.keeper = parked.keeper;
  record.replacements = parked.replacements;
  for (const run::ExchangePair& pair : record.pairs) {
    run::require_exchangeable(pair.live, pair.built);
    if (run::state_of(pair) == run::PairState::before) continue;
    throw Error(ErrorKind::container,
                fmt::format("{} and {} are not the directories that the restore left", pair.live,
                            pair.built),
                "was the volume made anew since? What is parked is still there: copy it by hand");
  }
  require_predecessors(session.engine, session.settings.state_dir, record);
  ExchangeOutcome outcome;
  outcome.keeper = record.keeper;
  for (const run::Replacement& one : record.replacements) {
    if (!one.old_id.empty()) outcome.put_aside.push_back(one.aside);
  }
  JournalledRestore restore(session, cleanup, std::move(record));
  carry_out(restore, session, [&] {
    restore.exchange([] {},
                     [&](std::size_t number) {
                       return wait_until_it_serves(session, session.engine, restore.service(number),
                                                   patience, [] { return std::nullopt; });
                     });
  });
  outcome.down = restore.down();
  outcome.not_started = restore.not_started();
  return outcome;
}

}  // namespace bba::restore
