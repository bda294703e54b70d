// Asks a Redis or Valkey server for a background save and returns once its INFO proves that it is
// done.
#pragma once

#include "bba/classes/capture.hpp"
#include "bba/ops/session.hpp"

namespace bba::ops {

// The service will not do its own procedure; the capture's if_refused is to be done instead.
class Refused : public Error {
 public:
  explicit Refused(std::string_view reason) : Error(ErrorKind::capture, reason) {}
};

// Returns classes::keyspace_around the save. Throws Refused where the server will not save at all,
// Error{capture} where a save that it began has failed, or where the server is gone before its end.
Json save_redis(Session& session, const std::string& container, const classes::RedisSave& save);

}  // namespace bba::ops
