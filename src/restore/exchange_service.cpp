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
                                          const std::vector<RestorePart>& parts) {
  std::vector<run::BuiltPlace> places;
  for (const RestorePart& part : parts) {
    const service::ExchangePlace& place = part.place;
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
Json keeper_body(const ScratchContext& context, const run::RestoreRecord& record) {
  Json mounts = Json::array();
  for (const run::BuiltPlace& place : record.places) {
    if (place.volume.empty()) continue;
    mounts.push_back({{"Type", "volume"},
                      {"Source", place.volume},
                      {"Target", place.destination},
                      {"VolumeOptions", {{"NoCopy", true}}}});
  }
  // An image need not have a command, and the engine wants one.
  return {{"Image", context.live.image},
          {"Cmd", Json::array({"true"})},
          {"Labels", {{"bba.parked", record.module}}},
          {"HostConfig", {{"NetworkMode", "none"}, {"Mounts", std::move(mounts)}}}};
}

void make_places(const ScratchContext& context, run::RestoreRecord& record) {
  docker::Engine& engine = context.session.engine;
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
    engine.create_container(record.keeper, keeper_body(context, record));
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

  // Where the journal cannot be written (a full disk), the phase stays what it was.
  void note(RestorePhase phase) {
    run::RestoreRecord next = record_;
    next.phase = phase;
    cleanup_.record(run::journal_entry(next));
    record_.phase = phase;
  }

  // Stops, exchanges, starts and lets `prove` look, which throws where the service does not run as
  // it should. `prepare` is called once nobody uses the directories any more.
  void exchange(const std::function<void()>& prepare,
                const std::function<Clock::time_point()>& prove) {
    note(RestorePhase::exchanging);
    std::vector<std::string> live;
    for (const run::ExchangePair& pair : record_.pairs) live.push_back(pair.live);
    stopped_ = Clock::now();
    run::stop_users(session_.engine, record_.containers, live);
    prepare();
    for (const run::ExchangePair& pair : record_.pairs) sync_file_system_of(pair.built);
    session_.stop.throw_if_requested();
    for (const run::ExchangePair& pair : record_.pairs) run::exchange(pair);
    note(RestorePhase::started);
    session_.engine.start(record_.containers.front().id);
    down_ = prove() - stopped_;
    note(RestorePhase::proven);
  }

  // Finishes what was proven, and undoes everything else.
  std::string end() {
    docker::Engine engine = unstoppable(session_);
    std::string said = run::end_restore(engine, session_.settings.state_dir, record_);
    cleanup_.complete(run::journal_entry(record_));
    return said;
  }

  std::chrono::duration<double> down() const noexcept { return down_; }

 private:
  run::Session& session_;
  run::Cleanup& cleanup_;
  run::RestoreRecord record_;
  Clock::time_point stopped_;
  std::chrono::duration<double> down_{};
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

}  // namespace

ExchangeOutcome restore_by_exchange(const ScratchContext& context, const std::string& set,
                                    Timestamp time, const ExchangeRequest& request) {
  run::Session& session = context.session;
  const std::string& module = context.manifest.module;
  if (request.users.front().ran) {
    for (const RestorePart& part : request.parts) {
      ContainerTarget live(context, request.users.front().id, part.place.record, false);
      part.kind->require_exchangeable(part.place, &live);
    }
  }
  run::RestoreRecord record;
  record.module = module;
  record.set = set;
  record.time = time;
  record.containers = request.users;
  record.places = named_places(module, time, request.parts);
  if (std::any_of(record.places.begin(), record.places.end(),
                  [](const run::BuiltPlace& place) { return !place.volume.empty(); })) {
    record.keeper = parked_name(module, time, 0);
  }

  ExchangeOutcome outcome;
  outcome.keeper = record.keeper;
  JournalledRestore restore(session, context.cleanup, std::move(record));
  const std::string& service = restore.record().containers.front().id;
  carry_out(restore, session, [&] {
    make_places(context, restore.record());
    restore.note(RestorePhase::building);
    ScratchContext building{session,          context.cleanup,    context.directory,
                            context.manifest, context.live,       context.image,
                            context.memory,   context.needs_hand, restore.record().places};
    for (std::size_t i = 0; i < request.parts.size(); ++i) {
      const RestorePart& part = request.parts[i];
      const service::ExchangePlace& place = part.place;
      const std::string& built = restore.record().places[i].directory;
      service::PartReport report = build(building, part);
      for (const std::string& line : report.lines) {
        outcome.lines.push_back(place.record.file + ": " + line);
      }
      for (const std::string& line : report.not_proven) {
        outcome.not_proven.push_back(place.record.file + ": " + line);
      }
      run::require_exchangeable(place.host_path, built);
      restore.record().pairs.push_back(
          {place.host_path, built, part.directory, run::file_id(built).value()});
    }
    const auto carry = [&] {
      for (std::size_t i = 0; i < request.parts.size(); ++i) {
        const RestorePart& part = request.parts[i];
        const std::string& built = restore.record().places[i].directory;
        const CarriedOver carried =
            carry_over(part.place.host_path, built, [&](const std::string& path) {
              return part.kind->carries_over(part.place, part.place.destination + path);
            });
        // An archive has the directory's own owner and mode.
        const bool is_archive = part.place.record.source == part.place.destination;
        carry_over_root(part.place.host_path, built, !is_archive);
        for (const std::string& path : carried.paths) {
          outcome.carried_over.push_back(part.place.destination + path);
        }
        for (const std::string& path : carried.without_place) {
          session.reporter.warning(fmt::format(
              "{}{} stays in what is put aside: what is restored has no directory for it",
              part.place.destination, path));
        }
      }
    };
    restore.exchange(carry, [&] {
      return wait_until_it_serves(session, session.engine, service, request.patience,
                                  [&] { return all_serve(context, service, request.parts); });
    });
  });
  outcome.down = restore.down();
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
  record.places = parked.places;
  record.pairs = parked.pairs;
  record.keeper = parked.keeper;
  for (const run::ExchangePair& pair : record.pairs) {
    run::require_exchangeable(pair.live, pair.built);
    if (run::state_of(pair) == run::PairState::before) continue;
    throw Error(ErrorKind::container,
                fmt::format("{} and {} are not the directories that the restore left", pair.live,
                            pair.built),
                "was the volume made anew since? What is parked is still there: copy it by hand");
  }
  ExchangeOutcome outcome;
  outcome.keeper = record.keeper;
  JournalledRestore restore(session, cleanup, std::move(record));
  const std::string& service = restore.record().containers.front().id;
  carry_out(restore, session, [&] {
    restore.exchange([] {},
                     [&] {
                       return wait_until_it_serves(session, session.engine, service, patience,
                                                   [] { return std::nullopt; });
                     });
  });
  outcome.down = restore.down();
  return outcome;
}

}  // namespace bba::restore
