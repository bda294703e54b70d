// What the cases of restores share: a service with two states, what restores have parked, and runs
// that are stopped at a step of theirs.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "e2e/relay.hpp"
#include "e2e/support.hpp"

namespace e2e {

using Inventory = std::map<std::string, std::string>;

inline constexpr const char* files_image = "bba-fixture/files:1";
// The command of a container that does nothing.
extern const Strings forever;

// What restores of this module have parked; removed at the end.
class Parked {
 public:
  explicit Parked(std::string module) : module_(std::move(module)) {}
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  ~Parked();

  Strings volumes() const { return listed({"volume", "ls"}); }
  Strings containers() const { return listed({"ps", "--all"}); }

 private:
  Strings listed(Strings command) const;

  std::string module_;
};

// Runs a script in the container; throws where it fails.
std::string shell(const std::string& container, const std::string& script);
bool runs(const std::string& container);
std::string restart_policy(const std::string& container);

Ended succeeds(const E2eFixture& fixture, const Strings& arguments, const Setting& setting = {});
void check_refused(const E2eFixture& fixture, const Strings& arguments, int exit_code,
                   const std::string& why);

// A service that keeps files in a volume under `restart: always`, with a set of an earlier state.
class FileService {
 public:
  explicit FileService(E2eFixture& fixture, const Strings& command = forever,
                       const std::string& image = files_image);
  Inventory now() const { return inventory(volume_path(volume)); }
  bool runs() const { return e2e::runs(module); }
  // It has what it had before the restore, runs, and is restarted by the engine.
  void check_as_before() const;

  std::string volume;
  std::string module;
  Parked parked;
  Inventory old_state, new_state;
};

// A run that stalls as it is about to send `request`.
Process stalled(Relay& relay, const Strings& arguments, const std::string& request);

// Kills the guard of a run that is under way, and then the run.
void kill_with_guard(const E2eFixture& fixture, Process& run);

// Kills a restore of the module that is about to send `request`; with its guard, and then what it
// left is put right by `recover`, or the run alone, and then its guard does that. `outcome`: part
// of what recover says.
void kill_restore(const E2eFixture& fixture, const std::string& module, const std::string& request,
                  bool with_guard, const std::string& outcome,
                  const Strings& command = {"restore"});

// "old", "new", or what it is where it is neither.
std::string which_state(const std::string& now, const std::string& old_state,
                        const std::string& new_state);

// Kills restores of a service under `restart: always` while they build, that is as they send
// `building`, between exchange and start, and once they are proven. Its set has the old state, and
// it has the new one, as `state` says by all that it has; it says too whether it takes writes.
// Afterwards the service has the one or the other, and runs.
void check_killed_at_its_steps(const E2eFixture& fixture, const std::string& module,
                               const std::string& building,
                               const std::function<std::string()>& state);

}  // namespace e2e
