#include "bba/run/quiesce.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/store/lock.hpp"

namespace bba::run {

namespace {

using Clock = std::chrono::steady_clock;

struct HeldContainer {
  store::JournalEntry entry;
  Clock::time_point since;
};

// Two runs may have to hold the same container (a shared volume): the second waits until the first
// has released it, so that neither takes the other's pause for the operator's.
store::ModuleLock lock_container(Session& session, const service::Quiesced& container) {
  const auto patience = Clock::now() + std::chrono::minutes(30);
  for (bool told = false;; told = true) {
    try {
      return {session.settings.state_dir, "container-" + container.id.substr(0, 12)};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::busy || Clock::now() > patience) throw;
      if (!told) session.reporter.note("waiting for another run to release " + container.name);
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

// The freezer of cgroup v1 gives up where a container's processes come and go while the machine is
// busy: runc says "unable to freeze", has thawed it again, and can mostly freeze it a moment later.
void pause(Session& session, const std::string& id) {
  constexpr int tries = 5;
  for (int attempt = 1;; ++attempt) {
    try {
      return session.engine.pause(id);
    } catch (const docker::ApiError& error) {
      if (error.status() != 500 || attempt == tries) throw;
    }
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(attempt * std::chrono::milliseconds(100));
    if (session.engine.inspect(id).paused) return;
  }
}

// Pauses or stops one container. False where it is stopped or paused already: it is left so.
bool hold(Session& session, Cleanup& cleanup, const store::JournalEntry& entry, bool stops) {
  const wire::Container now = session.engine.inspect(entry.id);
  if (!now.running || now.paused) return false;
  if (stops && now.auto_remove) {
    throw Error(ErrorKind::container,
                entry.name +
                    " was started with --rm: the engine removes it, and its volumes without a "
                    "name, when it stops",
                "pause it instead: --consistency pause");
  }
  cleanup.record(entry);
  try {
    stops ? session.engine.stop(entry.id, stop_grace) : pause(session, entry.id);
  } catch (const docker::ApiError& error) {
    // Refused: somebody else paused or stopped it first, and has to undo that.
    if (error.status() == 409) cleanup.complete(entry);
    throw;
  }
  return true;
}

}  // namespace

QuiesceOutcome while_quiet(Session& session, Cleanup& cleanup, const service::Capture& capture,
                           const std::function<void()>& action) {
  const bool stops = capture.consistency == service::Consistency::stop;
  std::vector<service::Quiesced> in_lock_order = capture.quiesce;
  std::sort(in_lock_order.begin(), in_lock_order.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<store::ModuleLock> locks;
  for (const service::Quiesced& one : in_lock_order) {
    locks.push_back(lock_container(session, one));
  }

  // A run that was killed since this one began may have paused one of them: that is not a pause of
  // the operator's, and its guard is about to end it.
  QuiesceOutcome outcome;
  const RecoverOutcome recovered = recover(session);
  for (const std::string& done : recovered.done) {
    session.reporter.warning("another run was killed; put right what it left: " + done);
  }
  for (const std::string& failed : recovered.failed) {
    session.reporter.warning("another run was killed, and this is left: " + failed);
    outcome.needs_hand.push_back(failed);
  }

  std::vector<HeldContainer> held;
  std::exception_ptr failure;
  try {
    for (const service::Quiesced& one : capture.quiesce) {
      with_context(fmt::format("{} {}", stops ? "stopping" : "pausing", one.name), [&] {
        const HeldContainer next{
            {stops ? store::CleanupKind::stopped : store::CleanupKind::paused, one.id, one.name},
            Clock::now()};
        // Noted first: a pause whose answer never came may have happened.
        held.push_back(next);
        if (!hold(session, cleanup, next.entry, stops)) held.pop_back();
      });
    }
    action();
  } catch (...) {
    failure = std::current_exception();
  }

  // A request to stop must not stop this.
  docker::Limits patient;
  patient.silence = std::chrono::seconds(30);
  docker::Engine engine = session.engine.unstoppable(patient);
  for (auto one = held.rbegin(); one != held.rend(); ++one) {
    if (!cleanup.has(one->entry)) continue;
    try {
      undo(engine, one->entry);
      cleanup.complete(one->entry);
      outcome.records.insert(outcome.records.begin(),
                             {one->entry.name, one->entry.id,
                              std::chrono::duration<double>(Clock::now() - one->since).count()});
    } catch (const Error& error) {
      const std::string what = fmt::format("{} could not be {}: {}", one->entry.name,
                                           stops ? "started" : "unpaused", error.what());
      outcome.needs_hand.push_back(what);
      session.reporter.warning(what + "; run `backup-before-apply recover`");
    }
  }
  if (failure) std::rethrow_exception(failure);
  return outcome;
}

}  // namespace bba::run
