// Asks a Redis or Valkey server for a background save and returns once its INFO proves that it is
// done.
#pragma once

#include "bba/base/time.hpp"
#include "server.hpp"
#include "bba/run/session.hpp"

namespace bba::ops {

// The service will not do its own procedure; the capture's if_refused is to be done instead.
class Refused : public Error {
 public:
  explicit Refused(std::string_view reason) : Error(ErrorKind::capture, reason) {}
};

// What the server said of itself right before it was asked to save, and once it had saved.
struct RedisSaved {
  classes::RedisInfo before;
  classes::RedisInfo after;
};
// Throws Refused where the server will not save at all; Error{capture} where it wants another
// password or user for that, where a save that it began has failed, or where the server is gone
// before its end.
RedisSaved save_redis(Session& session, const std::string& container,
                      const classes::RedisSave& save);

// ArtifactRecord::found.keyspace of an archive with an RDB that was written at `written`, asked
// once it has been read. What it holds may be newer than the save: the server may have saved by
// itself since, or keep an append-only file. Then `after` is counted now.
Json keyspace_of(Session& session, const std::string& container, const classes::RedisSave& save,
                 const RedisSaved& saved, Timestamp written);

}  // namespace bba::ops
