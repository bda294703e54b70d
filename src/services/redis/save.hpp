// Asks a Redis or Valkey server for a background save and returns once its INFO proves that it is
// done.
#pragma once

#include <string>

#include "bba/base/reporter.hpp"
#include "bba/base/stop.hpp"
#include "bba/base/time.hpp"
#include "bba/docker/engine.hpp"
#include "bba/service/service.hpp"
#include "server.hpp"

namespace bba::services::redis {

// How the server is asked: by this client in its container.
struct Asking {
  docker::Engine& engine;
  Reporter& reporter;
  const Stop& stop;
  const std::string& container;
  const wire::ExecConfig& client;
};

// What the server said of itself right before it was asked to save, and once it had saved.
struct Saved {
  Info before;
  Info after;
};
// Throws service::Refused where the server will not save at all; Error{capture} where it wants
// another password or user for that, where a save that it began has failed, or where the server is
// gone before its end.
Saved save(const Asking& asking);

// What keyspace_of() needs of a Saved, kept from before the parts are read until after.
Json saved_json(const Saved& saved);
Saved parse_saved(const Json& json);

// ArtifactRecord::found.keyspace of an archive with an RDB that was written at `written`, asked
// once it has been read. What it holds may be newer than the save: the server may have saved by
// itself since, or keep an append-only file. Then `after` is counted now.
Json keyspace_of(const Asking& asking, const Saved& saved, Timestamp written);

}  // namespace bba::services::redis
