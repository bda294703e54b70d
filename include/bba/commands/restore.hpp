// `restore`: brings a backup set back into the service that it was taken of. It is built and
// compared beside the service while that runs on, and then exchanged with what the service has;
// what it had is parked, for `restore --undo`. `rollback` brings back the container as well, from
// the image and the configuration that the backup recorded. docs/restore.md tells the operator's
// side.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bba/restore/exchange_service.hpp"
#include "bba/run/session.hpp"

namespace bba::commands {

// What a restore is about to do; nothing was touched.
struct RestorePlan {
  std::string module;
  std::string container;  // of a set with members: of all of them, "postgres, redis"
  bool is_undo = false;
  bool in_place = false;           // not in one step: the service takes what is restored itself
  std::vector<std::string> steps;  // of a restore in place, in order
  std::string set;                 // the manifest's file
  Timestamp taken{};               // the set, or, of an undo, the restore that is undone
  struct Exchange {
    std::string destination;  // path in the container
    std::string directory;    // path on this host
    std::string with;         // the artifact's file, or the parked directory
  };
  std::vector<Exchange> exchanges;
  std::vector<run::HeldContainer> users;  // stopped meanwhile, the services first
  std::size_t services = 1;               // how many of them are restored
  // The containers that a rollback makes anew, or its undo exchanges again.
  struct Replaced {
    std::string container;
    std::string image;  // as the backup names it; empty in an undo
  };
  std::vector<Replaced> replaced;
  // For `docker compose`, which would bring the present image back; empty where it did not make
  // the container.
  std::string compose_override;
  std::vector<std::string> notes;  // what the operator has to know beforehand
};

struct RestoreRequest {
  std::string module;
  // An artifact, a manifest or the set's time; without it the newest set that is good.
  std::optional<std::string> reference;
  bool undo = false;
  bool rollback = false;     // the container too
  bool in_place = false;     // what goes back by the service's own means, while the service runs
  bool exact = false;        // in place: what the set does not hold is removed
  bool new_cluster = false;  // in place: also into another cluster than the one that was backed up
  std::chrono::seconds patience{300};  // for the service to answer
  // Called with the plan before anything is touched; throws where the operator does not want it.
  std::function<void(const RestorePlan&)> confirm;
};

struct RestoreResult {
  RestorePlan plan;
  restore::ExchangeOutcome outcome;
  std::string safety_set;  // in place: the manifest's file of the set that has the state before
  std::vector<std::string> needs_hand;
};

// What would be done. Throws what restore_service() would throw before it touches anything.
RestorePlan plan_restore(run::Session& session, const RestoreRequest& request);

// Throws with everything as it was before, or Error{unfinished}: then `recover` goes on.
RestoreResult restore_service(run::Session& session, const RestoreRequest& request);

std::string restore_plan_text(const RestorePlan& plan);
Json restore_plan_json(const RestorePlan& plan);
std::string restore_text(const RestoreResult& result);
Json restore_json(const RestoreResult& result);

}  // namespace bba::commands
