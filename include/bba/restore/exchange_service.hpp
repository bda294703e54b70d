// Brings an earlier state of a service back, or of several that belong together: it is built beside
// the service while that runs on, and then exchanged with what the service has, in one step that
// can be undone. The journal has each
// step before it is made, so that whoever is killed, one of two states remains: the one before or
// the finished one.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "bba/restore/scratch.hpp"
#include "bba/run/restore_record.hpp"

namespace bba::restore {

// One artifact and the mount that it goes to.
struct RestorePart {
  const service::ArtifactKind* kind;
  service::ExchangePlace place;
  run::FileId directory;  // what the mount's source was when it was looked at
};

// The containers that have a mount at one of `directories` (absolute paths of this host, links
// followed), below one, or, where they can write to it, above one; and those that live in a
// namespace of one of `services`, which they would lose. The services themselves come first, in
// their order. Throws
// Error{container} where one of them cannot be stopped and started: it is paused, or the engine
// removes it once it ends.
std::vector<run::HeldContainer> users_of(docker::Engine& engine,
                                         const std::vector<const wire::Container*>& services,
                                         const std::vector<std::string>& directories);

// One service and its set.
struct ServiceRestore {
  const store::OwnedDirectory& directory;  // of the set
  const store::Manifest& manifest;
  const wire::Container& container;  // the one that it runs in afterwards
  const std::vector<RestorePart>& parts;
  // A rollback's: its container is made anew like this one, and takes the place of the present one,
  // which is never started on what is restored. Null: the container stays.
  const wire::Container* recorded = nullptr;
};

struct ExchangeRequest {
  std::string module;  // names what is parked
  std::string set;     // the manifest's file
  Timestamp time{};
  std::vector<ServiceRestore> services;  // in the order in which they are started
  std::vector<run::HeldContainer> users;
  std::chrono::seconds patience;  // for each service to answer once it was started
};

struct ExchangeOutcome {
  std::vector<std::string> lines;       // what was compared, for people
  std::vector<std::string> not_proven;  // what that cannot say
  std::vector<std::string> carried_over;
  std::chrono::duration<double> down{};  // from the first stop until the last service answered
  std::string keeper;
  std::vector<std::string> put_aside;    // names of the containers that were replaced
  std::vector<std::string> not_started;  // containers besides the service, and why
};

// Builds, exchanges and proves: all of it or nothing. Throws with everything as it was before, or
// Error{unfinished}. `needs_hand` gets what could not be removed.
ExchangeOutcome restore_by_exchange(run::Session& session, run::Cleanup& cleanup,
                                    const ExchangeRequest& request,
                                    std::vector<std::string>& needs_hand);

// Exchanges back what an earlier restore has parked: the other way round the same again. Throws
// with everything as it was before, or Error{unfinished}.
ExchangeOutcome undo_by_exchange(run::Session& session, run::Cleanup& cleanup,
                                 const run::ParkedState& parked,
                                 std::vector<run::HeldContainer> users,
                                 std::chrono::seconds patience);

}  // namespace bba::restore
