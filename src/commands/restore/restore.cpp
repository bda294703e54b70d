#include "bba/commands/restore.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/commands/backup.hpp"
#include "bba/store/lock.hpp"
#include "choose_set.hpp"
#include "commands/live_container.hpp"
#include "conditions.hpp"
#include "in_place.hpp"

namespace bba::commands {

namespace {

// A set that is to be restored, with all that was found out before anything is touched.
struct Prepared {
  ChosenSet chosen;
  wire::Container live;
  std::vector<restore::RestorePart> parts;  // refer to the two above
  RestorePlan plan;
};

std::vector<std::string> directories_of(const std::vector<restore::RestorePart>& parts) {
  std::vector<std::string> directories;
  for (const restore::RestorePart& part : parts) directories.push_back(part.place.host_path);
  return directories;
}

std::unique_ptr<Prepared> prepare(run::Session& session, const RestoreRequest& request) {
  auto prepared = std::make_unique<Prepared>(Prepared{choose_set(session, request), {}, {}, {}});
  const store::BackupSet& set = prepared->chosen.set;
  prepared->live = live_container(session, set.manifest.container);
  const wire::Container& live = prepared->live;
  prepared->parts = restore_parts(session, set, live);
  require_room_beside(set.manifest, prepared->parts);
  require_lasting_state(session.settings.state_dir);

  RestorePlan& plan = prepared->plan;
  plan.module = request.module;
  plan.container = live.name;
  plan.set = set.manifest_file;
  plan.taken = set.manifest.started;
  for (const restore::RestorePart& part : prepared->parts) {
    plan.exchanges.push_back(
        {part.place.destination, part.place.host_path, part.place.record.file});
  }
  plan.users = restore::users_of(session.engine, live, directories_of(prepared->parts));
  if (live.image != set.manifest.container.image_id) {
    plan.notes.push_back(fmt::format(
        "the container has another image than the one that was backed up ({}): it stays",
        set.manifest.container.image));
  }
  if (set.manifest.fallback)
    plan.notes.push_back("the set is a fallback: " + *set.manifest.fallback);
  for (const std::string& lacked : set.manifest.incomplete) {
    plan.notes.push_back("not in the set: " + lacked);
  }
  return prepared;
}

// --- undo

struct PreparedUndo {
  run::ParkedState parked;
  RestorePlan plan;
};

PreparedUndo prepare_undo(run::Session& session, const RestoreRequest& request) {
  const auto states = run::parked_states(session.settings.state_dir, request.module);
  const auto newest = std::find_if(states.begin(), states.end(),
                                   [](const run::ParkedState& one) { return !one.failed; });
  if (newest == states.end()) {
    throw Error(ErrorKind::config, "no restore of " + request.module + " can be undone",
                "`backup-before-apply list` shows what is parked");
  }
  const auto live = session.engine.find(newest->container);
  if (!live) {
    throw Error(ErrorKind::container,
                fmt::format("container {}, whose restore is to be undone, is not on this engine",
                            newest->container),
                "create it again (it need not run)");
  }
  RestorePlan plan;
  plan.module = request.module;
  plan.container = live->name;
  plan.is_undo = true;
  plan.set = newest->set;
  plan.taken = newest->time;
  std::vector<std::string> directories;
  for (std::size_t i = 0; i < newest->pairs.size(); ++i) {
    const run::ExchangePair& pair = newest->pairs[i];
    directories.push_back(pair.live);
    plan.exchanges.push_back(
        {i < newest->places.size() ? newest->places[i].destination : "", pair.live, pair.built});
  }
  plan.users = restore::users_of(session.engine, *live, directories);
  return {*newest, std::move(plan)};
}

// Nobody else may pause or stop one of them meanwhile.
std::vector<store::ModuleLock> lock_users(const run::Session& session, const RestorePlan& plan) {
  std::vector<store::ModuleLock> locks;
  for (const run::HeldContainer& user : plan.users) {
    locks.emplace_back(session.settings.state_dir, "container-" + user.id.substr(0, 12));
  }
  return locks;
}

Timestamp free_second(const run::Session& session, const std::string& module) {
  const Timestamp time = now();
  const auto states = run::parked_states(session.settings.state_dir, module);
  return states.empty() ? time : std::max(time, states.front().time + std::chrono::seconds(1));
}

}  // namespace

RestorePlan plan_restore(run::Session& session, const RestoreRequest& request) {
  if (is_in_place(session, request)) return plan_in_place(session, request);
  return request.undo ? prepare_undo(session, request).plan : prepare(session, request)->plan;
}

RestoreResult restore_service(run::Session& session, const RestoreRequest& request) {
  require_module(request.module);
  const store::ModuleLock lock(session.settings.state_dir, request.module);
  RestoreResult result;
  if (recover_first(session)) {
    result.needs_hand.push_back("an earlier run left something: see `backup-before-apply recover`");
  }
  if (is_in_place(session, request)) return restore_in_place(session, request, std::move(result));
  if (request.undo) {
    PreparedUndo undo = prepare_undo(session, request);
    const auto locks = lock_users(session, undo.plan);
    request.confirm(undo.plan);
    run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
    result.outcome =
        restore::undo_by_exchange(session, cleanup, undo.parked, undo.plan.users, request.patience);
    result.plan = std::move(undo.plan);
    return result;
  }
  const std::unique_ptr<Prepared> prepared = prepare(session, request);
  const auto locks = lock_users(session, prepared->plan);
  request.confirm(prepared->plan);
  run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
  const store::Manifest& manifest = prepared->chosen.set.manifest;
  const restore::ScratchContext context{session,  cleanup,          prepared->chosen.directory,
                                        manifest, prepared->live,   prepared->live.image,
                                        0,        result.needs_hand};
  result.outcome = restore::restore_by_exchange(
      context, prepared->chosen.set.manifest_file, free_second(session, request.module),
      {prepared->parts, prepared->plan.users, request.patience});
  result.plan = std::move(prepared->plan);
  return result;
}

}  // namespace bba::commands
