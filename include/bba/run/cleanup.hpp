// What the run has to undo: a container that it paused, an exec that it started, a scratch
// container. Each entry is in the journal before it is made, and a guard process undoes what is
// left of them should this process die, SIGKILL included.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bba/docker/engine.hpp"
#include "bba/run/session.hpp"
#include "bba/store/journal.hpp"

namespace bba::run {

// How long a container that is stopped may take to end by itself, before the engine kills it.
inline constexpr std::chrono::seconds stop_grace{30};

// Undoes one entry: unpauses, starts, ends the exec, removes. Of a container that is gone there is
// nothing to undo.
// Throws where it cannot be undone now. False where that is not known yet: a scratch container that
// the journal has by its name only, and that is not there. The engine finishes making it without a
// client, and lists it only once its image's content is in its volumes.
bool undo(docker::Engine& engine, const store::JournalEntry& entry);

class Cleanup {
 public:
  Cleanup(const std::string& state_directory, const std::string& host);
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;

  // Called before the change. The first call starts the guard.
  void record(const store::JournalEntry& entry);
  // Called after it was undone.
  void complete(const store::JournalEntry& entry);
  bool has(const store::JournalEntry& entry) const;

 private:
  std::string state_directory_;
  store::Journal journal_;
  bool guarded_ = false;
};

struct RecoverOutcome {
  std::vector<std::string> done;    // "paused: kuma"
  std::vector<std::string> failed;  // "paused: kuma: no such socket"
  // "scratch: bba-drill-...": not there, and it may still be made. It stays in its journal for
  // later runs, for an hour.
  std::vector<std::string> waiting;
  bool unfinished = false;  // among the failed is a restore: its service may be down
  bool broken_off = false;  // among the failed is a restore in place, which only its undo ends
};
// Undoes what killed runs left, each entry at the engine that its journal names. `stop` may be
// null.
RecoverOutcome undo_abandoned(std::vector<store::AbandonedJournal> abandoned_journals,
                              const docker::Limits& limits, const Stop* stop);
// The same for all in the state directory. Waits for a guard that is undoing some: a
// container that it is about to unpause would be taken for one that the operator paused. Throws
// Error{busy} where that takes long.
RecoverOutcome recover(Session& session);

}  // namespace bba::run
