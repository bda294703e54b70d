#include "bba/run/cleanup.hpp"

#include <algorithm>
#include <chrono>
#include <sys/stat.h>
#include <thread>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/run/guard.hpp"
#include "bba/run/in_place_state.hpp"
#include "bba/run/restore_record.hpp"
#include "bba/store/lock.hpp"

namespace bba::run {

namespace {

using namespace std::chrono_literals;

void unpause(docker::Engine& engine, const std::string& id) {
  // A pause may still be under way in the engine when its client dies, so "not paused" is believed
  // only after a while.
  constexpr int looks = 5;
  for (int look = 0; look < looks; ++look) {
    if (look > 0) std::this_thread::sleep_for(100ms);
    const wire::Container container = engine.inspect(id);
    if (!container.running) return;
    if (!container.paused) continue;
    engine.unpause(id);
    return;
  }
}

void start_again(docker::Engine& engine, const std::string& id) {
  // The engine goes on stopping a container whose client has died, so "it runs" is believed only
  // when the time has passed that the container was given to end.
  const auto patience = std::chrono::steady_clock::now() + stop_grace + 5s;
  for (;;) {
    if (!engine.inspect(id).running) return engine.start(id);
    if (std::chrono::steady_clock::now() > patience) return;
    std::this_thread::sleep_for(200ms);
  }
}

bool is_known_by_id(const store::JournalEntry& scratch) {
  return scratch.id != scratch.name;
}

bool remove_scratch(docker::Engine& engine, const store::JournalEntry& scratch) {
  // Most containers whose client died while they were made are there within this time.
  constexpr int most_looks = 8;
  const int looks = is_known_by_id(scratch) ? 1 : most_looks;
  for (int look = 0; look < looks; ++look) {
    if (look > 0) std::this_thread::sleep_for(250ms);
    if (!engine.find(scratch.id)) continue;
    engine.remove_container(scratch.id);
    return true;
  }
  return is_known_by_id(scratch);
}

// How long an engine may go on making a container whose client has gone: it copies the image's
// content into the volumes.
constexpr std::chrono::hours longest_making{1};

bool may_still_be_made(const store::AbandonedJournal& journal) {
  struct stat status {};
  if (::fstat(journal.lock.get(), &status) != 0) return true;
  const auto written = std::chrono::system_clock::from_time_t(status.st_mtime);
  return std::chrono::system_clock::now() - written < longest_making;
}

bool undo_once(docker::Engine& engine, const store::JournalEntry& entry) {
  switch (entry.kind) {
    case store::CleanupKind::paused:
      unpause(engine, entry.id);
      return true;
    case store::CleanupKind::stopped:
      start_again(engine, entry.id);
      return true;
    case store::CleanupKind::exec:
      if (!docker::end_exec(engine, entry.id)) {
        throw Error(ErrorKind::engine,
                    fmt::format("{} may still run: its process is not on this host", entry.name));
      }
      return true;
    case store::CleanupKind::scratch:
      return remove_scratch(engine, entry);
    case store::CleanupKind::restore:  // end_restore()
      break;
  }
  throw Error(ErrorKind::internal, "a journal entry of unknown kind");
}

// Why nothing can be undone at that engine now; empty where it answers.
std::string trouble_with(const std::string& host, const docker::Limits& limits, const Stop* stop) {
  try {
    docker::Engine(docker::socket_path(host), limits, stop).version();
    return {};
  } catch (const Error& error) {
    if (stop != nullptr) stop->throw_if_requested();
    return error.what();
  }
}

// The engine answers 404, too, for a container that exists and cannot be started, as its network
// is gone.
bool is_gone(docker::Engine& engine, const store::JournalEntry& entry) {
  if (entry.kind != store::CleanupKind::paused && entry.kind != store::CleanupKind::stopped)
    return true;
  try {
    engine.inspect(entry.id);
    return false;
  } catch (const docker::ApiError& error) {
    return error.status() == 404;
  }
}

}  // namespace

bool undo(docker::Engine& engine, const store::JournalEntry& entry) {
  // The engine may be busy with the very request that this run broke off, so a refused request is
  // tried again.
  constexpr int tries = 4;
  for (int attempt = 1;; ++attempt) {
    try {
      return undo_once(engine, entry);
    } catch (const docker::ApiError& error) {
      if (error.status() == 404 && is_gone(engine, entry)) return true;  // and with it the entry
      if (attempt == tries) throw;
    } catch (const Error&) {
      if (attempt == tries) throw;
    }
    std::this_thread::sleep_for(attempt * 250ms);
  }
}

Cleanup::Cleanup(const std::string& state_directory, const std::string& host)
    : state_directory_(state_directory), journal_(state_directory, host) {}

void Cleanup::record(const store::JournalEntry& entry) {
  if (!guarded_) {
    start_guard(state_directory_, journal_.path());
    guarded_ = true;
  }
  journal_.record(entry);
}

void Cleanup::complete(const store::JournalEntry& entry) {
  journal_.complete(entry);
}

bool Cleanup::has(const store::JournalEntry& entry) const {
  const auto& open = journal_.open();
  return std::find(open.begin(), open.end(), entry) != open.end();
}

namespace {

// Of one entry: what was done, and whether nothing is left of it.
struct UndoneEntry {
  std::string what;
  bool complete = true;
  std::vector<std::string> needs_hand = {};
};

UndoneEntry undo_entry(docker::Engine& engine, const store::AbandonedJournal& journal,
                       const store::JournalEntry& entry) {
  const std::string what = fmt::format("{}: {}", store::name(entry.kind), entry.name);
  if (entry.kind != store::CleanupKind::restore) {
    return {what, undo(engine, entry) || !may_still_be_made(journal)};
  }
  const auto record = restore_record(entry);
  if (!record) {
    throw Error(ErrorKind::unfinished, "its record in " + journal.path + " cannot be read");
  }
  RestoreEnd end = end_restore(engine, parent_of(journal.path), *record);
  return {what + ": " + end.said, true, std::move(end.not_started)};
}

// What a restore has built can be removed only once no scratch container uses it.
void put_restores_last(std::vector<store::JournalEntry>& entries) {
  std::stable_partition(entries.begin(), entries.end(), [](const store::JournalEntry& entry) {
    return entry.kind != store::CleanupKind::restore;
  });
}

}  // namespace

RecoverOutcome undo_abandoned(std::vector<store::AbandonedJournal> abandoned_journals,
                              const docker::Limits& limits, const Stop* stop) {
  RecoverOutcome recovered;
  for (store::AbandonedJournal& journal : abandoned_journals) {
    if (!journal.trouble.empty()) {
      recovered.failed.push_back(journal.trouble +
                                 ": this journal cannot be read; look for what its run has left "
                                 "(docker ps --filter status=paused), then remove it");
      continue;
    }
    // Another engine does not have these containers: its 404 would count as undone.
    const std::string trouble = trouble_with(journal.host, limits, stop);
    bool all_undone = true;
    put_restores_last(journal.entries);
    for (const store::JournalEntry& entry : journal.entries) {
      const std::string what = fmt::format("{}: {}", store::name(entry.kind), entry.name);
      try {
        if (!trouble.empty()) throw Error(ErrorKind::engine, trouble);
        docker::Engine engine(docker::socket_path(journal.host), limits, stop);
        UndoneEntry undone = undo_entry(engine, journal, entry);
        // The service may be changed from here on: a second time would not do the same.
        if (entry.kind == store::CleanupKind::restore) store::complete(journal, entry);
        all_undone = all_undone && undone.complete;
        for (std::string& line : undone.needs_hand) recovered.failed.push_back(std::move(line));
        (undone.complete ? recovered.done : recovered.waiting).push_back(std::move(undone.what));
      } catch (const Error& error) {
        if (stop != nullptr) stop->throw_if_requested();
        all_undone = false;
        recovered.failed.push_back(what + ": " + error.what());
        recovered.unfinished |= entry.kind == store::CleanupKind::restore;
      }
    }
    try {
      if (all_undone) store::forget(journal);
    } catch (const Error& error) {
      recovered.failed.emplace_back(error.what());
    }
  }
  return recovered;
}

namespace {

// A restore in place has nothing that could be exchanged back: the operator has to choose.
void tell_of_broken_restores(const std::string& state_directory, RecoverOutcome& recovered) {
  for (const InPlaceState& one : in_place_states(state_directory)) {
    if (!one.unfinished) continue;
    try {
      const store::ModuleLock lock(state_directory, one.module);
      const auto state = in_place_state(state_directory, one.module);
      if (!state || !state->unfinished) continue;
      if (state->whole) {
        recovered.done.push_back(settle_whole(state_directory, *state));
        continue;
      }
      recovered.failed.push_back(
          fmt::format("{}: run `backup-before-apply restore {} --undo`, or begin again with "
                      "`restore {} --in-place`",
                      broken_off(*state), state->module, state->module));
      recovered.broken_off = true;
    } catch (const Error& error) {
      // It is under way, or its module's own run looks for itself.
      if (error.kind() != ErrorKind::busy) throw;
    }
  }
}

}  // namespace

RecoverOutcome recover(Session& session) {
  const auto patience = std::chrono::steady_clock::now() + 10s;
  for (bool told = false;; told = true) {
    std::vector<std::string> being_undone;
    std::vector<store::AbandonedJournal> abandoned_journals =
        store::abandoned_journals(session.settings.state_dir, &being_undone);
    if (being_undone.empty()) {
      RecoverOutcome recovered =
          undo_abandoned(std::move(abandoned_journals), session.settings.limits, &session.stop);
      tell_of_broken_restores(session.settings.state_dir, recovered);
      return recovered;
    }
    if (std::chrono::steady_clock::now() > patience) {
      throw Error(ErrorKind::busy,
                  "a guard is still putting right what a killed run left: " + being_undone.front(),
                  "try again in a minute; does the engine that the file names answer?");
    }
    if (!told) {
      session.reporter.note("waiting for the guard of a killed run, which is putting things right");
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(100ms);
  }
}

}  // namespace bba::run
