// How an artifact goes back into a service that runs, by the service's own means: what its kind
// says beforehand, and does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bba/base/error.hpp"

namespace bba::service {

// What the operator allows.
struct InPlaceOptions {
  bool exact = false;        // what the artifact does not hold is removed
  bool new_cluster = false;  // also into another cluster than the one that was backed up
};

// The server refused what was asked of it, and nothing of it was changed.
class Untouched : public Error {
 public:
  using Error::Error;
};

// The restore of one artifact, made by its kind once the server was asked: all that can be refused
// was refused.
class InPlace {
 public:
  virtual ~InPlace() = default;
  // What will be done, for people: a line each.
  virtual std::vector<std::string> steps() const = 0;
  // Whether the server takes the artifact as a whole or not at all.
  virtual bool is_whole() const = 0;
  // The present state is in a safety set by now. Calls `changing` before the first change. What it
  // throws before that, and Untouched, say that the service has what it had; anything else, that it
  // may have something between. Adds to the target's report, and to `needs_hand` what the operator
  // has to do.
  virtual void carry_out(const std::function<void()>& changing,
                         std::vector<std::string>& needs_hand) = 0;
};

}  // namespace bba::service
