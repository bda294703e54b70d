#include "bba/run/restore_record.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <span>
#include <thread>
#include <utility>

#include "bba/base/text.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/run/recorded_container.hpp"
#include "state_file.hpp"

namespace bba::run {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view parked_suffix = ".parked.json";
constexpr std::string_view configuration_suffix = ".container.json";
constexpr std::size_t most_bytes = 16 << 20;

constexpr std::array<std::pair<RestorePhase, std::string_view>, 4> phases{
    {{RestorePhase::building, "building"},
     {RestorePhase::exchanging, "exchanging"},
     {RestorePhase::started, "started"},
     {RestorePhase::proven, "proven"}}};

std::string_view name_of(RestorePhase phase) {
  return std::find_if(phases.begin(), phases.end(),
                      [&](const auto& one) { return one.first == phase; })
      ->second;
}

std::optional<RestorePhase> phase_named(std::string_view name) {
  for (const auto& [phase, text] : phases) {
    if (text == name) return phase;
  }
  return std::nullopt;
}

std::string entry_id(const std::string& module, Timestamp time) {
  return module + '-' + format_compact(time);
}

// --- JSON

Json json_of(const std::vector<BuiltPlace>& places) {
  Json list = Json::array();
  for (const BuiltPlace& place : places) {
    list.push_back({{"destination", place.destination},
                    {"directory", place.directory},
                    {"volume", place.volume}});
  }
  return list;
}

Json json_of(const std::vector<ExchangePair>& pairs) {
  Json list = Json::array();
  for (const ExchangePair& pair : pairs) list.push_back(to_json(pair));
  return list;
}

Json json_of(const std::vector<Replacement>& replacements) {
  Json list = Json::array();
  for (const Replacement& replacement : replacements) list.push_back(to_json(replacement));
  return list;
}

// Calls `take` with each element of a list; false where one of them, or the list, is missing.
template <class Take>
bool each(const Json& object, std::string_view key, Take take) {
  const Json* list = member(object, key);
  return list != nullptr && list->is_array() && std::all_of(list->begin(), list->end(), take);
}

bool read_places(const Json& object, std::vector<BuiltPlace>& places) {
  return each(object, "places", [&](const Json& one) {
    const auto destination = string_member(one, "destination");
    const auto directory = string_member(one, "directory");
    const auto volume = string_member(one, "volume");
    if (!destination || !directory || !volume) return false;
    places.push_back({*destination, *directory, *volume});
    return true;
  });
}

bool read_pairs(const Json& object, std::vector<ExchangePair>& pairs) {
  return each(object, "pairs", [&](const Json& one) {
    const auto pair = exchange_pair_from(one);
    if (pair) pairs.push_back(*pair);
    return pair.has_value();
  });
}

// What earlier versions wrote has none.
bool read_replacements(const Json& object, std::vector<Replacement>& replacements) {
  if (member(object, "replacements") == nullptr) return true;
  return each(object, "replacements", [&](const Json& one) {
    const auto replacement = replacement_from(one);
    if (replacement) replacements.push_back(*replacement);
    return replacement.has_value();
  });
}

// --- containers that were put aside

// "postgres-20261123T084232Z.0123456789ab.container.json"
std::string configuration_of(const std::string& module, Timestamp time, const std::string& id) {
  return fmt::format("{}.{}{}", entry_id(module, time), id.substr(0, 12), configuration_suffix);
}

void remove_configurations(const std::string& state_directory, const std::string& module,
                           Timestamp time) {
  const std::string prefix = entry_id(module, time) + '.';
  for (const std::string& name : state_files(state_directory, configuration_suffix)) {
    if (name.starts_with(prefix)) remove_state_file(state_directory, name);
  }
}

// --- parked states

std::string parked_name(const std::string& module, Timestamp time) {
  return entry_id(module, time) + std::string(parked_suffix);
}

void write_parked(const std::string& state_directory, const ParkedState& parked) {
  write_state_file(state_directory, parked_name(parked.module, parked.time),
                   pretty_json(Json{{"module", parked.module},
                                    {"set", parked.set},
                                    {"services", parked.services},
                                    {"time", format_compact(parked.time)},
                                    {"failed", parked.failed},
                                    {"places", json_of(parked.places)},
                                    {"pairs", json_of(parked.pairs)},
                                    {"keeper", parked.keeper},
                                    {"replacements", json_of(parked.replacements)}}));
}

// Earlier versions restored one service, and wrote its name alone.
std::vector<std::string> services_of(const Json& json) {
  if (auto only = string_member(json, "container")) return {*std::move(only)};
  std::vector<std::string> names;
  each(json, "services", [&](const Json& one) {
    if (one.is_string()) names.push_back(one.get<std::string>());
    return true;
  });
  return names;
}

std::optional<ParkedState> read_parked(const std::string& path) {
  const auto json = parse_json(read_small_file(path, most_bytes, ErrorKind::storage));
  if (!json) return std::nullopt;
  ParkedState parked;
  const auto time = parse_compact(string_member(*json, "time").value_or(""));
  if (!time || !read_places(*json, parked.places) || !read_pairs(*json, parked.pairs) ||
      !read_replacements(*json, parked.replacements)) {
    return std::nullopt;
  }
  parked.module = string_member(*json, "module").value_or("");
  parked.set = string_member(*json, "set").value_or("");
  parked.services = services_of(*json);
  parked.time = *time;
  parked.failed = bool_member(*json, "failed").value_or(true);
  parked.keeper = string_member(*json, "keeper").value_or("");
  return parked;
}

const Json no_restart = Json{{"Name", "no"}, {"MaximumRetryCount", 0}};

// The pairs as they are once they were exchanged.
std::vector<ExchangePair> exchanged(std::vector<ExchangePair> pairs) {
  for (ExchangePair& pair : pairs) std::swap(pair.live_id, pair.built_id);
  return pairs;
}

// The way back: what was put aside becomes the new one, and gets the restart policy that it had.
std::vector<Replacement> replaced(const RestoreRecord& record) {
  std::vector<Replacement> back;
  for (const Replacement& one : record.replacements) {
    if (one.old_id.empty()) continue;  // nothing was put aside
    const auto held =
        std::find_if(record.containers.begin(), record.containers.end(),
                     [&](const HeldContainer& container) { return container.id == one.old_id; });
    back.push_back({one.new_id, one.old_id, one.name, one.aside,
                    held == record.containers.end() ? no_restart : held->restart_policy});
  }
  return back;
}

std::span<const HeldContainer> services_of(const RestoreRecord& record) {
  return std::span(record.containers).first(std::min(record.services, record.containers.size()));
}

ParkedState parked_by(const RestoreRecord& record, bool failed) {
  ParkedState parked;
  parked.module = record.module;
  parked.set = record.set;
  for (const HeldContainer& held : services_of(record)) parked.services.push_back(held.name);
  parked.time = record.time;
  parked.failed = failed;
  parked.places = record.places;
  parked.pairs = failed ? record.pairs : exchanged(record.pairs);
  parked.keeper = record.keeper;
  // What failed has not kept the containers that were made for it.
  if (!failed) parked.replacements = replaced(record);
  return parked;
}

// --- containers

std::chrono::seconds grace_of(const wire::Container& container) {
  const auto own = int_member(container.config, "StopTimeout").value_or(0);
  return std::max(stop_grace, std::chrono::seconds(std::clamp<std::int64_t>(own, 0, 3600)));
}

// One that is gone has nothing to be stopped.
void stop_one(docker::Engine& engine, const HeldContainer& held) {
  const auto container = engine.find(held.id);
  if (!container) return;
  engine.set_restart_policy(held.id, no_restart);
  if (container->running) engine.stop(held.id, grace_of(*container));
}

// As they are once everything is exchanged: those that were replaced are the new ones.
std::vector<HeldContainer> final_containers(const RestoreRecord& record) {
  std::vector<HeldContainer> containers = record.containers;
  for (HeldContainer& held : containers) {
    for (const Replacement& one : record.replacements) {
      if (one.old_id != held.id) continue;
      held.id = one.new_id;
      held.restart_policy = one.restart_policy;
    }
  }
  return containers;
}

// What could not be started of those besides the service, where the engine says why.
std::vector<std::string> start_users(docker::Engine& engine,
                                     const std::vector<HeldContainer>& containers,
                                     std::size_t services) {
  std::vector<std::string> not_started;
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const HeldContainer& held = containers[i];
    if (!engine.find(held.id)) {
      if (i < services) not_started.push_back(fmt::format("{} is gone: make it again", held.name));
      continue;
    }
    if (!held.ran) {
      // A service was started to be looked at, though it had not run.
      if (i < services) stop_one(engine, held);
      continue;
    }
    try {
      engine.start(held.id);
    } catch (const docker::ApiError& error) {
      if (i < services) throw;
      not_started.push_back(fmt::format("{} could not be started: {}", held.name, error.what()));
    }
  }
  for (const HeldContainer& held : containers) {
    if (engine.find(held.id)) engine.set_restart_policy(held.id, held.restart_policy);
  }
  return not_started;
}

void stop_containers(docker::Engine& engine, const std::vector<HeldContainer>& containers) {
  for (auto held = containers.rbegin(); held != containers.rend(); ++held) {
    with_context("stopping " + held->name, [&] { stop_one(engine, *held); });
  }
}

void require_unmounted(const std::vector<std::string>& directories) {
  // The engine unmounts once it has seen the last process end.
  const auto patience = std::chrono::steady_clock::now() + 10s;
  for (const std::string& directory : directories) {
    for (;;) {
      const auto where = mounted_anywhere(directory);
      if (!where) break;
      if (std::chrono::steady_clock::now() > patience) {
        throw Error(ErrorKind::capture,
                    fmt::format("{} is still mounted, by {}", directory, *where),
                    "end what uses it, then try again");
      }
      std::this_thread::sleep_for(50ms);
    }
  }
}

// --- what was made

void remove_built(docker::Engine& engine, const std::vector<BuiltPlace>& places,
                  const std::string& keeper) {
  if (!keeper.empty()) engine.remove_container(keeper);
  for (const BuiltPlace& place : places) {
    if (!place.volume.empty()) {
      engine.remove_volume(place.volume);
      continue;
    }
    std::error_code error;
    std::filesystem::remove_all(place.directory, error);
    if (error) {
      throw system_error(ErrorKind::storage, "removing " + place.directory, error.value());
    }
  }
}

// With what was kept of those that they were to take the place of.
void remove_new_containers(docker::Engine& engine, const std::string& state_directory,
                           const RestoreRecord& record) {
  for (auto one = record.replacements.rbegin(); one != record.replacements.rend(); ++one) {
    // By its name where the engine had not yet told the id. The volumes are those of the other one.
    engine.remove_container_alone(one->new_id.empty() ? one->aside : one->new_id);
  }
  remove_configurations(state_directory, record.module, record.time);
}

// All that was made, where the engine may still be making what a killed run has asked for.
void remove_begun(docker::Engine& engine, const std::string& state_directory,
                  const RestoreRecord& record) {
  const bool is_made = std::none_of(record.places.begin(), record.places.end(),
                                    [](const BuiltPlace& place) {
                                      return !place.volume.empty() && place.directory.empty();
                                    }) &&
                       std::none_of(record.replacements.begin(), record.replacements.end(),
                                    [](const Replacement& one) { return one.new_id.empty(); });
  // Most of it is there within this time.
  constexpr int most_looks = 8;
  const int looks = is_made ? 1 : most_looks;
  for (int look = 0; look < looks; ++look) {
    if (look > 0) std::this_thread::sleep_for(250ms);
    remove_new_containers(engine, state_directory, record);
    remove_built(engine, record.places, record.keeper);
  }
}

[[noreturn]] void give_up(const std::string& why) {
  throw Error(ErrorKind::unfinished, why,
              "the service may be down: put right what is named, then run `backup-before-apply "
              "recover`");
}

void reverse_exchanges(docker::Engine& engine, const RestoreRecord& record) {
  std::vector<const ExchangePair*> done;
  for (const ExchangePair& pair : record.pairs) {
    // Whoever was killed may have begun to remove what was built, as the last of all steps.
    if (file_id(pair.live) == pair.live_id && !file_id(pair.built)) continue;
    const PairState state = state_of(pair);
    if (state == PairState::neither) {
      give_up(fmt::format("{} and {} are not the directories that the restore has noted", pair.live,
                          pair.built));
    }
    if (state == PairState::exchanged) done.push_back(&pair);
  }
  // A stop that a killed run has asked for may still be under way: after this one nothing is.
  std::vector<HeldContainer> all = record.containers;
  for (const Replacement& one : record.replacements) {
    all.push_back({one.new_id, one.name, false, {}});
  }
  stop_containers(engine, all);
  // Somebody else may use what was not exchanged.
  if (!done.empty()) require_unmounted(directories_of(record.pairs));
  for (auto one = record.replacements.rbegin(); one != record.replacements.rend(); ++one) {
    reverse_replacement(engine, *one);
  }
  for (auto pair = done.rbegin(); pair != done.rend(); ++pair) exchange(**pair);
}

RestoreEnd reverse(docker::Engine& engine, const std::string& state_directory,
                   const RestoreRecord& record) {
  if (record.phase == RestorePhase::building) {
    if (!record.is_undo) remove_begun(engine, state_directory, record);
    return {"undone: nothing of the service was touched"};
  }
  reverse_exchanges(engine, record);
  // Clients may have written to it once the service was started. Whether it was exchanged back just
  // now does not matter: this may be the second try.
  const bool keeps = record.phase == RestorePhase::started && !record.is_undo;
  if (keeps) write_parked(state_directory, parked_by(record, true));
  auto not_started = start_users(engine, record.containers, record.services);
  if (!record.is_undo) remove_new_containers(engine, state_directory, record);
  if (!record.is_undo && !keeps) remove_built(engine, record.places, record.keeper);
  return {keeps ? "undone: the service has what it had before; what was restored is parked"
                : "undone: the service has what it had before",
          std::move(not_started)};
}

RestoreEnd finish(docker::Engine& engine, const std::string& state_directory,
                  const RestoreRecord& record) {
  for (const ExchangePair& pair : record.pairs) {
    if (state_of(pair) != PairState::exchanged) {
      give_up(fmt::format("{} and {} are not the directories that the restore has noted", pair.live,
                          pair.built));
    }
  }
  for (const Replacement& one : record.replacements) replace(engine, one);
  write_parked(state_directory, parked_by(record, false));
  auto not_started = start_users(engine, final_containers(record), record.services);
  for (const Replacement& one : record.replacements) {
    // Nobody ran in its place, so that nobody was stopped.
    if (!one.old_id.empty() || !engine.find(one.new_id)) continue;
    engine.set_restart_policy(one.new_id, one.restart_policy);
    not_started.push_back(
        fmt::format("{} is back, and does not run: docker start {}", one.name, one.name));
  }
  return {"finished: the service has what was restored", std::move(not_started)};
}

}  // namespace

store::JournalEntry journal_entry(const RestoreRecord& record) {
  Json containers = Json::array();
  for (const HeldContainer& held : record.containers) {
    containers.push_back({{"id", held.id},
                          {"name", held.name},
                          {"ran", held.ran},
                          {"restart_policy", held.restart_policy}});
  }
  Json details = {{"module", record.module},
                  {"set", record.set},
                  {"time", format_compact(record.time)},
                  {"phase", std::string(name_of(record.phase))},
                  {"is_undo", record.is_undo},
                  {"containers", std::move(containers)},
                  {"services", record.services},
                  {"places", json_of(record.places)},
                  {"pairs", json_of(record.pairs)},
                  {"keeper", record.keeper},
                  {"replacements", json_of(record.replacements)}};
  return {store::CleanupKind::restore, entry_id(record.module, record.time), record.module,
          std::move(details)};
}

std::optional<RestoreRecord> restore_record(const store::JournalEntry& entry) {
  const Json& details = entry.details;
  if (entry.kind != store::CleanupKind::restore || !details.is_object()) return std::nullopt;
  RestoreRecord record;
  const auto module = string_member(details, "module");
  const auto time = parse_compact(string_member(details, "time").value_or(""));
  const auto phase = phase_named(string_member(details, "phase").value_or(""));
  const auto is_undo = bool_member(details, "is_undo");
  const bool has_containers = each(details, "containers", [&](const Json& one) {
    const auto id = string_member(one, "id");
    const auto ran = bool_member(one, "ran");
    const Json* policy = member(one, "restart_policy");
    if (!id || !ran || policy == nullptr) return false;
    record.containers.push_back({*id, string_member(one, "name").value_or(*id), *ran, *policy});
    return true;
  });
  if (!module || !time || !phase || !is_undo || !has_containers ||
      !read_places(details, record.places) || !read_pairs(details, record.pairs) ||
      !read_replacements(details, record.replacements)) {
    return std::nullopt;
  }
  record.module = *module;
  record.set = string_member(details, "set").value_or("");
  record.time = *time;
  record.phase = *phase;
  record.is_undo = *is_undo;
  record.keeper = string_member(details, "keeper").value_or("");
  record.services = size_member(details, "services").value_or(1);
  return record;
}

const std::string& final_id(const RestoreRecord& record, const std::string& id) {
  for (const Replacement& one : record.replacements) {
    if (one.old_id == id) return one.new_id;
  }
  return id;
}

std::vector<std::string> directories_of(const std::vector<ExchangePair>& pairs) {
  std::vector<std::string> directories;
  for (const ExchangePair& pair : pairs) {
    directories.push_back(pair.live);
    directories.push_back(pair.built);
  }
  return directories;
}

std::vector<ParkedState> parked_states(const std::string& state_directory,
                                       const std::string& module) {
  std::vector<ParkedState> states;
  for (const std::string& name : state_files(state_directory, parked_suffix)) {
    const std::string path = state_directory + '/' + name;
    auto parked = read_parked(path);
    if (!parked) {
      throw Error(ErrorKind::storage, path + " does not say what a restore has parked",
                  "docker volume ls --filter label=bba.parked lists the volumes");
    }
    if (module.empty() || parked->module == module) states.push_back(*std::move(parked));
  }
  std::sort(states.begin(), states.end(),
            [](const ParkedState& a, const ParkedState& b) { return a.time > b.time; });
  return states;
}

std::vector<std::string> containers_put_aside(docker::Engine& engine, const ParkedState& parked) {
  std::vector<std::string> names;
  for (const Replacement& one : parked.replacements) {
    // By its name: one that was given another is somebody's service again.
    const auto container = engine.find(one.aside);
    if (container && container->name == one.aside && !container->running) {
      names.push_back(one.aside);
    }
  }
  return names;
}

void remove_parked(docker::Engine& engine, const std::string& state_directory,
                   const ParkedState& parked) {
  for (const std::string& name : containers_put_aside(engine, parked)) {
    engine.remove_container_alone(name);
  }
  remove_configurations(state_directory, parked.module, parked.time);
  remove_built(engine, parked.places, parked.keeper);
  remove_state_file(state_directory, parked_name(parked.module, parked.time));
}

void keep_configuration(const std::string& state_directory, const std::string& module,
                        Timestamp time, const wire::Container& container) {
  write_state_file(state_directory, configuration_of(module, time, container.id),
                   container_record(container));
}

wire::Container kept_configuration(const std::string& state_directory, const std::string& module,
                                   Timestamp time, const std::string& id) {
  const std::string path = state_directory + '/' + configuration_of(module, time, id);
  return with_context(path, [&] {
    return recorded_container(read_small_file(path, most_bytes, ErrorKind::storage));
  });
}

void stop_users(docker::Engine& engine, const std::vector<HeldContainer>& containers,
                const std::vector<std::string>& directories) {
  stop_containers(engine, containers);
  require_unmounted(directories);
}

RestoreEnd end_restore(docker::Engine& engine, const std::string& state_directory,
                       const RestoreRecord& record) {
  return with_context(fmt::format("restore of {}", record.module), [&] {
    return record.phase == RestorePhase::proven ? finish(engine, state_directory, record)
                                                : reverse(engine, state_directory, record);
  });
}

}  // namespace bba::run
