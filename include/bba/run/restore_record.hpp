// What the journal knows of a restore from before its first step: enough to finish or to undo it
// from any point on, whoever was killed. Two ends are possible: the state before, or the finished
// one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/base/time.hpp"
#include "bba/docker/engine.hpp"
#include "bba/run/exchange.hpp"
#include "bba/run/replace_container.hpp"
#include "bba/store/journal.hpp"

namespace bba::run {

// A container that uses what is restored.
struct HeldContainer {
  std::string id;
  std::string name;
  bool ran = false;  // and is started again at the end
  // HostConfig.RestartPolicy. Meanwhile it is "no": an engine that is started again would start
  // the container on directories that are half exchanged.
  Json restart_policy = Json::object();
};

// A directory that was made for this restore: a volume's, or one beside a bind mount's source.
struct BuiltPlace {
  std::string destination;  // path in the container
  std::string directory;    // path on this host; empty until its volume is known to be made
  std::string volume;       // name; empty for a bind mount's
};

enum class RestorePhase {
  building,    // nothing of the service was touched
  exchanging,  // containers are being stopped and directories exchanged
  started,     // the service was started on what was restored
  proven,      // the service runs on it: from here on it is finished, before that undone
};

struct RestoreRecord {
  std::string module;
  std::string set;   // the manifest's file
  Timestamp time{};  // names the parked state
  RestorePhase phase = RestorePhase::building;
  bool is_undo = false;                   // of an earlier restore: nothing was built for it
  std::vector<HeldContainer> containers;  // as they are started: the services first
  std::size_t services = 1;  // how many of them are restored; the others use what those have
  std::vector<BuiltPlace> places;
  std::vector<ExchangePair> pairs;  // one for each place, from `exchanging` on
  std::string keeper;  // the container that refers to the volumes and never runs; may be empty
  // What a rollback makes anew, or its undo puts back: in the order of `containers`.
  std::vector<Replacement> replacements = {};
};

// The id by which a service runs once everything is exchanged.
const std::string& final_id(const RestoreRecord& record, const std::string& id);

store::JournalEntry journal_entry(const RestoreRecord& record);
// nullopt where the entry is not of a restore, or does not hold what it has to.
std::optional<RestoreRecord> restore_record(const store::JournalEntry& entry);

// What a restore has put aside: what the service had before it or, where the restore failed after
// the service was started on it, what the service had then. A file in the state directory says so.
struct ParkedState {
  std::string module;
  std::string set;                    // the manifest that was restored
  std::vector<std::string> services;  // names of the containers that were restored
  Timestamp time{};
  bool failed = false;  // it holds the restored state, which the service did not take
  std::vector<BuiltPlace> places;
  std::vector<ExchangePair> pairs;  // `live` as it is now; `built` is what is parked
  std::string keeper;
  // As they are to be carried out by an undo: `new_id` is what was put aside.
  std::vector<Replacement> replacements = {};
};

// Keeps what it takes to make a container again that is about to be put aside, in the state
// directory, as whoever removes it need not know of it. It holds secrets: 0600.
void keep_configuration(const std::string& state_directory, const std::string& module,
                        Timestamp time, const wire::Container& container);
// That of the container with this id. Throws Error{storage} where there is none.
wire::Container kept_configuration(const std::string& state_directory, const std::string& module,
                                   Timestamp time, const std::string& id);
// Newest first. A file that cannot be read is an Error{storage}.
std::vector<ParkedState> parked_states(const std::string& state_directory,
                                       const std::string& module);
// The directories that an exchange needs for itself: nobody may have one of them mounted.
std::vector<std::string> directories_of(const std::vector<ExchangePair>& pairs);

// The names of the containers that are still put aside: one that runs, or that was given another
// name, is somebody's service again.
std::vector<std::string> containers_put_aside(docker::Engine& engine, const ParkedState& parked);
// Removes those, without their anonymous volumes, the directories, the volumes, their keeper and
// the file. What is gone is no error.
void remove_parked(docker::Engine& engine, const std::string& state_directory,
                   const ParkedState& parked);

// Sets the restart policies to "no" and stops the containers, the services last. Throws
// Error{capture} where a directory of `directories` is mounted nevertheless.
void stop_users(docker::Engine& engine, const std::vector<HeldContainer>& containers,
                const std::vector<std::string>& directories);

struct RestoreEnd {
  std::string said;  // for people: "finished", "undone: the service has what it had before"
  // Of the containers besides the services: "web could not be started: ...". The data is as it
  // should be, so that does not hold up the end.
  std::vector<std::string> not_started = {};
};

// Brings a restore to its end: finishes one that is proven, and undoes all others. Throws where
// neither can be done now.
RestoreEnd end_restore(docker::Engine& engine, const std::string& state_directory,
                       const RestoreRecord& record);

}  // namespace bba::run
