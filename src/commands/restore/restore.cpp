#include "bba/commands/restore.hpp"

#include <algorithm>
#include <map>

#include "bba/base/text.hpp"
#include "bba/commands/backup.hpp"
#include "bba/commands/plan.hpp"
#include "bba/conf/platform.hpp"
#include "bba/store/lock.hpp"
#include "bba/tree/host_path.hpp"
#include "choose_set.hpp"
#include "commands/live_container.hpp"
#include "conditions.hpp"
#include "in_place.hpp"
#include "recorded.hpp"

namespace bba::commands {

namespace {

// A set that is to be restored, with all that was found out before anything is touched.
struct PreparedService {
  ChosenSet chosen;
  wire::Container present;
  std::optional<wire::Container> recorded;  // where a rollback makes it anew
  std::vector<restore::RestorePart> parts;  // refer to the three above

  // The one that the service runs in afterwards.
  const wire::Container& container() const { return recorded ? *recorded : present; }
};

struct Prepared {
  std::vector<std::unique_ptr<PreparedService>> services;  // in the order in which they are started
  RestorePlan plan;
};

// The module whose sets a restore of `module` takes: of a sidecar-bound one, the first of those
// that it is backed up through.
std::string main_module(run::Session& session, const std::string& module) {
  try {
    const auto known = conf::load_module(session.settings.platform_root, module);
    if (!known || known->statefulness != conf::Statefulness::sidecar_bound) return module;
    BackupRequest request;
    request.module = module;
    return modules_to_back_up(session, request).front();
  } catch (const Error& error) {
    // A platform whose files are broken is to be restored nevertheless.
    session.reporter.warning(error.what());
    return module;
  }
}

std::unique_ptr<PreparedService> prepare_service(run::Session& session, ChosenSet chosen,
                                                 bool rollback) {
  auto prepared = std::make_unique<PreparedService>(PreparedService{std::move(chosen), {}, {}, {}});
  const store::BackupSet& set = prepared->chosen.set;
  prepared->present = live_container(session, set.manifest.container);
  if (rollback) {
    prepared->recorded = recorded_if_other(session, prepared->chosen, prepared->present);
    if (prepared->recorded) require_mounts(session, *prepared->recorded);
  }
  prepared->parts = restore_parts(session, set, prepared->container(), prepared->present);
  return prepared;
}

// Whether Compose starts the one only after the other.
bool depends_on(const wire::Container& one, const wire::Container& other) {
  const auto services = one.labels.find("com.docker.compose.depends_on");
  const auto name = other.labels.find("com.docker.compose.service");
  if (services == one.labels.end() || name == other.labels.end()) return false;
  // "postgres:service_healthy:false,redis:service_started:false"
  for (const std::string_view entry : split(services->second, ',')) {
    if (split(entry, ':').front() == name->second) return true;
  }
  return false;
}

void sort_by_dependence(std::vector<std::unique_ptr<PreparedService>>& services) {
  for (auto next = services.begin(); next != services.end(); ++next) {
    const auto ready = std::find_if(next, services.end(), [&](const auto& one) {
      return std::none_of(next, services.end(), [&](const auto& other) {
        return other != one && depends_on(one->present, other->present);
      });
    });
    // A cycle has no right order.
    if (ready != services.end()) std::rotate(next, ready, ready + 1);
  }
}

void require_own_directories(const std::vector<std::unique_ptr<PreparedService>>& services) {
  std::map<std::string, std::string> files;  // by directory
  for (const auto& service : services) {
    for (const restore::RestorePart& part : service->parts) {
      const auto [at, is_new] = files.emplace(part.place.host_path, part.place.record.file);
      if (is_new) continue;
      throw Error(ErrorKind::container,
                  fmt::format("{} and {} go to the same directory, {}", at->second,
                              part.place.record.file, at->first),
                  "restore them by hand: the manifests have the commands");
    }
  }
}

// What the container has mounted there, as a path of this host; empty where it has nothing.
std::string source_at(const wire::Container& container, const std::string& destination) {
  for (const wire::Mount& mount : container.mounts) {
    if (mount.destination == destination) return tree::resolved(mount.source);
  }
  return {};
}

void describe(const PreparedService& service, bool rollback, RestorePlan& plan) {
  const store::Manifest& manifest = service.chosen.set.manifest;
  for (const restore::RestorePart& part : service.parts) {
    plan.exchanges.push_back(
        {part.place.destination, part.place.host_path, part.place.record.file});
  }
  const std::string& name = service.present.name;
  if (service.recorded) {
    plan.replaced.push_back({name, manifest.container.image});
    for (const restore::RestorePart& part : service.parts) {
      const std::string today = source_at(service.present, part.place.destination);
      if (today.empty() || today == part.place.host_path) continue;
      plan.notes.push_back(fmt::format("at {}, {} has {} today: that stays as it is",
                                       part.place.destination, name, today));
    }
  } else if (rollback) {
    plan.notes.push_back(
        fmt::format("{} has the image and the configuration that were backed up: it stays", name));
  } else if (service.present.image != manifest.container.image_id) {
    plan.notes.push_back(fmt::format(
        "{} has another image than the one that was backed up ({}): it stays; `rollback` brings "
        "that back, too",
        name, manifest.container.image));
  }
  if (manifest.fallback) {
    plan.notes.push_back("the set is a fallback: " + *manifest.fallback);
  }
  for (const std::string& lacked : manifest.incomplete) {
    plan.notes.push_back("not in the set: " + lacked);
  }
}

Prepared prepare(run::Session& session, const RestoreRequest& request, const std::string& module) {
  Prepared prepared;
  std::vector<ChosenSet> sets = choose_sets(session, module, request.reference);
  RestorePlan& plan = prepared.plan;
  plan.module = request.module;
  plan.set = sets.front().set.manifest_file;
  plan.taken = sets.front().set.manifest.started;
  for (ChosenSet& chosen : sets) {
    prepared.services.push_back(prepare_service(session, std::move(chosen), request.rollback));
  }
  sort_by_dependence(prepared.services);
  require_own_directories(prepared.services);
  require_lasting_state(session.settings.state_dir);

  std::map<std::uint64_t, std::uint64_t> wanted;
  std::vector<const wire::Container*> containers;
  std::vector<std::string> names, directories;
  std::vector<store::ContainerRecord> replaced;
  for (const auto& service : prepared.services) {
    require_room_beside(service->chosen.set.manifest, service->parts, wanted);
    containers.push_back(&service->present);
    names.push_back(service->present.name);
    for (const restore::RestorePart& part : service->parts) {
      directories.push_back(part.place.host_path);
    }
    if (service->recorded) replaced.push_back(service->chosen.set.manifest.container);
    describe(*service, request.rollback, plan);
  }
  plan.container = join(names, ", ");
  plan.services = names.size();
  plan.compose_override = compose_override(replaced);
  plan.users = restore::users_of(session.engine, containers, directories);
  return prepared;
}

// --- undo

struct PreparedUndo {
  run::ParkedState parked;
  RestorePlan plan;
};

// A service that was made anew on other volumes would not notice the exchange.
void require_used(const std::vector<wire::Container>& containers,
                  const std::vector<run::ExchangePair>& pairs) {
  for (const run::ExchangePair& pair : pairs) {
    const bool is_used =
        std::any_of(containers.begin(), containers.end(), [&](const wire::Container& container) {
          return std::any_of(
              container.mounts.begin(), container.mounts.end(),
              [&](const wire::Mount& mount) { return tree::resolved(mount.source) == pair.live; });
        });
    if (is_used) continue;
    throw Error(ErrorKind::container,
                fmt::format("{}, which the restore has exchanged, is not mounted in {} any more",
                            pair.live, containers.front().name),
                "make the container on the volumes that it had, or copy what is parked by hand: " +
                    pair.built);
  }
}

PreparedUndo prepare_undo(run::Session& session, const RestoreRequest& request,
                          const std::string& module) {
  const auto states = run::parked_states(session.settings.state_dir, module);
  const auto newest = std::find_if(states.begin(), states.end(),
                                   [](const run::ParkedState& one) { return !one.failed; });
  if (newest == states.end()) {
    throw Error(ErrorKind::config, "no restore of " + request.module + " can be undone",
                "`backup-before-apply list` shows what is parked");
  }
  std::vector<wire::Container> containers;
  for (const std::string& name : newest->services) {
    auto container = session.engine.find(name);
    if (!container) {
      throw Error(
          ErrorKind::container,
          fmt::format("container {}, whose restore is to be undone, is not on this engine", name),
          "create it again (it need not run)");
    }
    containers.push_back(*std::move(container));
  }
  if (newest->replacements.empty()) require_used(containers, newest->pairs);
  RestorePlan plan;
  plan.module = request.module;
  plan.container = join(newest->services, ", ");
  plan.services = newest->services.size();
  plan.is_undo = true;
  for (const run::Replacement& one : newest->replacements) plan.replaced.push_back({one.name, ""});
  plan.set = newest->set;
  plan.taken = newest->time;
  std::vector<std::string> directories;
  for (std::size_t i = 0; i < newest->pairs.size(); ++i) {
    const run::ExchangePair& pair = newest->pairs[i];
    directories.push_back(pair.live);
    plan.exchanges.push_back(
        {i < newest->places.size() ? newest->places[i].destination : "", pair.live, pair.built});
  }
  std::vector<const wire::Container*> services;
  for (const wire::Container& container : containers) services.push_back(&container);
  plan.users = restore::users_of(session.engine, services, directories);
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
  require_module(request.module);
  if (is_in_place(session, request)) return plan_in_place(session, request);
  const std::string module = main_module(session, request.module);
  return request.undo ? prepare_undo(session, request, module).plan
                      : prepare(session, request, module).plan;
}

RestoreResult restore_service(run::Session& session, const RestoreRequest& request) {
  require_module(request.module);
  const std::string module = main_module(session, request.module);
  const store::ModuleLock lock(session.settings.state_dir, module);
  RestoreResult result;
  if (recover_first(session)) {
    result.needs_hand.push_back("an earlier run left something: see `backup-before-apply recover`");
  }
  if (is_in_place(session, request)) return restore_in_place(session, request, std::move(result));
  if (request.undo) {
    PreparedUndo undo = prepare_undo(session, request, module);
    const auto locks = lock_users(session, undo.plan);
    request.confirm(undo.plan);
    run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
    result.outcome =
        restore::undo_by_exchange(session, cleanup, undo.parked, undo.plan.users, request.patience);
    result.plan = std::move(undo.plan);
  } else {
    Prepared prepared = prepare(session, request, module);
    restore::ExchangeRequest exchange{module, prepared.plan.set,   {},
                                      {},     prepared.plan.users, request.patience};
    std::vector<store::ModuleLock> locks = lock_users(session, prepared.plan);
    for (const auto& service : prepared.services) {
      const store::Manifest& manifest = service->chosen.set.manifest;
      if (manifest.module != module) {
        locks.emplace_back(session.settings.state_dir, manifest.module);
      }
      exchange.services.push_back({service->chosen.directory, manifest, service->container(),
                                   service->parts,
                                   service->recorded ? &*service->recorded : nullptr});
    }
    request.confirm(prepared.plan);
    exchange.time = free_second(session, module);
    run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
    result.outcome = restore::restore_by_exchange(session, cleanup, exchange, result.needs_hand);
    result.plan = std::move(prepared.plan);
  }
  result.needs_hand.insert(result.needs_hand.end(), result.outcome.not_started.begin(),
                           result.outcome.not_started.end());
  return result;
}

}  // namespace bba::commands
