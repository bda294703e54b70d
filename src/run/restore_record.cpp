#include "bba/run/restore_record.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::run {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view parked_suffix = ".parked.json";
constexpr std::size_t most_bytes = 1 << 20;
constexpr unsigned mode = 0600;

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

// --- parked states

std::string parked_path(const std::string& state_directory, const std::string& module,
                        Timestamp time) {
  return state_directory + '/' + entry_id(module, time) + std::string(parked_suffix);
}

void write_parked(const std::string& state_directory, const ParkedState& parked) {
  const auto directory = store::OwnedDirectory::open_or_create(state_directory);
  const std::string path = parked_path(directory.path(), parked.module, parked.time);
  const std::string text = pretty_json(Json{{"module", parked.module},
                                            {"set", parked.set},
                                            {"container", parked.container},
                                            {"time", format_compact(parked.time)},
                                            {"failed", parked.failed},
                                            {"places", json_of(parked.places)},
                                            {"pairs", json_of(parked.pairs)},
                                            {"keeper", parked.keeper}});
  if (directory.contains(base_name(path))) {
    return store::replace_file(directory.fd(), path, text, mode);
  }
  store::ArtifactFile file(directory);
  file.write(as_bytes(text));
  file.sync();
  file.publish(base_name(path));
  directory.sync();
}

std::optional<ParkedState> read_parked(const std::string& path) {
  const auto json = parse_json(read_small_file(path, most_bytes, ErrorKind::storage));
  if (!json) return std::nullopt;
  ParkedState parked;
  const auto time = parse_compact(string_member(*json, "time").value_or(""));
  if (!time || !read_places(*json, parked.places) || !read_pairs(*json, parked.pairs)) {
    return std::nullopt;
  }
  parked.module = string_member(*json, "module").value_or("");
  parked.set = string_member(*json, "set").value_or("");
  parked.container = string_member(*json, "container").value_or("");
  parked.time = *time;
  parked.failed = bool_member(*json, "failed").value_or(true);
  parked.keeper = string_member(*json, "keeper").value_or("");
  return parked;
}

// The pairs as they are once they were exchanged.
std::vector<ExchangePair> exchanged(std::vector<ExchangePair> pairs) {
  for (ExchangePair& pair : pairs) std::swap(pair.live_id, pair.built_id);
  return pairs;
}

ParkedState parked_by(const RestoreRecord& record, bool failed) {
  ParkedState parked;
  parked.module = record.module;
  parked.set = record.set;
  parked.container = record.containers.empty() ? "" : record.containers.front().name;
  parked.time = record.time;
  parked.failed = failed;
  parked.places = record.places;
  parked.pairs = failed ? record.pairs : exchanged(record.pairs);
  parked.keeper = record.keeper;
  return parked;
}

// --- containers

const Json no_restart = Json{{"Name", "no"}, {"MaximumRetryCount", 0}};

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

void start_users(docker::Engine& engine, const std::vector<HeldContainer>& containers) {
  // The service was started to be looked at, though it had not run.
  if (!containers.empty() && !containers.front().ran) stop_one(engine, containers.front());
  for (const HeldContainer& held : containers) {
    if (held.ran && engine.find(held.id)) engine.start(held.id);
  }
  for (const HeldContainer& held : containers) {
    if (engine.find(held.id)) engine.set_restart_policy(held.id, held.restart_policy);
  }
}

std::vector<std::string> live_directories(const RestoreRecord& record) {
  std::vector<std::string> directories;
  for (const ExchangePair& pair : record.pairs) directories.push_back(pair.live);
  return directories;
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

// --- what was built

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

// The same, where the engine may still be making what a killed run has asked for.
void remove_begun(docker::Engine& engine, const RestoreRecord& record) {
  const bool is_made = std::none_of(
      record.places.begin(), record.places.end(),
      [](const BuiltPlace& place) { return !place.volume.empty() && place.directory.empty(); });
  // Most of it is there within this time.
  constexpr int most_looks = 8;
  const int looks = is_made ? 1 : most_looks;
  for (int look = 0; look < looks; ++look) {
    if (look > 0) std::this_thread::sleep_for(250ms);
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
  stop_containers(engine, record.containers);
  // Somebody else may use what was not exchanged.
  if (!done.empty()) require_unmounted(live_directories(record));
  for (auto pair = done.rbegin(); pair != done.rend(); ++pair) exchange(**pair);
}

std::string reverse(docker::Engine& engine, const std::string& state_directory,
                    const RestoreRecord& record) {
  if (record.phase == RestorePhase::building) {
    remove_begun(engine, record);
    return "undone: nothing of the service was touched";
  }
  reverse_exchanges(engine, record);
  // Clients may have written to it once the service was started. Whether it was exchanged back just
  // now does not matter: this may be the second try.
  const bool keeps = record.phase == RestorePhase::started && !record.is_undo;
  if (keeps) write_parked(state_directory, parked_by(record, true));
  start_users(engine, record.containers);
  if (!record.is_undo && !keeps) remove_built(engine, record.places, record.keeper);
  return keeps ? "undone: the service has what it had before; what was restored is parked"
               : "undone: the service has what it had before";
}

std::string finish(docker::Engine& engine, const std::string& state_directory,
                   const RestoreRecord& record) {
  for (const ExchangePair& pair : record.pairs) {
    if (state_of(pair) != PairState::exchanged) {
      give_up(fmt::format("{} and {} are not the directories that the restore has noted", pair.live,
                          pair.built));
    }
  }
  write_parked(state_directory, parked_by(record, false));
  start_users(engine, record.containers);
  return "finished: the service has what was restored";
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
                  {"places", json_of(record.places)},
                  {"pairs", json_of(record.pairs)},
                  {"keeper", record.keeper}};
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
      !read_places(details, record.places) || !read_pairs(details, record.pairs)) {
    return std::nullopt;
  }
  record.module = *module;
  record.set = string_member(details, "set").value_or("");
  record.time = *time;
  record.phase = *phase;
  record.is_undo = *is_undo;
  record.keeper = string_member(details, "keeper").value_or("");
  return record;
}

std::vector<ParkedState> parked_states(const std::string& state_directory,
                                       const std::string& module) {
  std::vector<ParkedState> states;
  std::error_code error;
  for (std::filesystem::directory_iterator it(state_directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path().string();
    if (!path.ends_with(parked_suffix)) continue;
    auto parked = read_parked(path);
    if (!parked) {
      throw Error(ErrorKind::storage, path + " does not say what a restore has parked",
                  "docker volume ls --filter label=bba.parked lists the volumes");
    }
    if (module.empty() || parked->module == module) states.push_back(*std::move(parked));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw system_error(ErrorKind::storage, state_directory, error.value());
  }
  std::sort(states.begin(), states.end(),
            [](const ParkedState& a, const ParkedState& b) { return a.time > b.time; });
  return states;
}

void remove_parked(docker::Engine& engine, const std::string& state_directory,
                   const ParkedState& parked) {
  remove_built(engine, parked.places, parked.keeper);
  const auto directory = store::OwnedDirectory::open_existing(state_directory);
  directory.remove(base_name(parked_path(state_directory, parked.module, parked.time)));
  directory.sync();
}

void stop_users(docker::Engine& engine, const std::vector<HeldContainer>& containers,
                const std::vector<std::string>& directories) {
  stop_containers(engine, containers);
  require_unmounted(directories);
}

std::string end_restore(docker::Engine& engine, const std::string& state_directory,
                        const RestoreRecord& record) {
  return with_context(fmt::format("restore of {}", record.module), [&] {
    return record.phase == RestorePhase::proven ? finish(engine, state_directory, record)
                                                : reverse(engine, state_directory, record);
  });
}

}  // namespace bba::run
