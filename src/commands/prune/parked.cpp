#include "parked.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/run/in_place_state.hpp"
#include "bba/run/restore_record.hpp"
#include "bba/store/lock.hpp"

namespace bba::commands {

namespace {

std::string what_it_is(const run::ParkedState& parked) {
  return parked.failed ? "what was restored, and the service did not take"
                       : "what the service had before the restore";
}

}  // namespace

std::vector<PrunedParked> prune_parked(run::Session& session, const PruneRequest& request) {
  const std::string& state_dir = session.settings.state_dir;
  const auto states = run::parked_states(state_dir, request.module);
  std::vector<std::string> modules;
  for (const run::ParkedState& parked : states) modules.push_back(parked.module);
  std::vector<run::InPlaceState> in_place = run::in_place_states(state_dir);
  std::erase_if(in_place, [&](const run::InPlaceState& state) {
    return !request.module.empty() && state.module != request.module;
  });
  for (const run::InPlaceState& state : in_place) modules.push_back(state.module);
  std::sort(modules.begin(), modules.end());
  modules.erase(std::unique(modules.begin(), modules.end()), modules.end());
  std::vector<store::ModuleLock> locks;
  if (!request.dry_run) {
    for (const std::string& module : modules) locks.emplace_back(state_dir, module);
  }
  std::vector<PrunedParked> pruned;
  for (const run::ParkedState& parked : states) {
    PrunedParked one{parked.module, parked.time, what_it_is(parked), {}};
    for (const run::BuiltPlace& place : parked.places) {
      one.removed.push_back(place.volume.empty() ? place.directory : "volume " + place.volume);
    }
    for (const std::string& name : run::containers_put_aside(session.engine, parked)) {
      one.removed.push_back("container " + name);
    }
    if (!request.dry_run) {
      run::remove_parked(session.engine, state_dir, parked);
      for (const std::string& what : one.removed) request.removed(what);
    }
    pruned.push_back(std::move(one));
  }
  for (const run::InPlaceState& state : in_place) {
    pruned.push_back(
        {state.module,
         state.time,
         fmt::format("{} is kept for `restore --undo` no longer, and goes by the rules",
                     state.safety_set),
         {}});
    if (!request.dry_run) run::remove_in_place_state(state_dir, state.module);
  }
  return pruned;
}

}  // namespace bba::commands
