// A request to end the run early: SIGINT, SIGTERM, or a test. Whoever waits also waits for fd().
#pragma once

#include <atomic>
#include <optional>

#include "bba/base/fd.hpp"

namespace bba {

class Stop {
 public:
  Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Asks for the end, as the signal `number` does. Safe in a signal handler and from any thread;
  // the first request counts.
  void request(int number) noexcept;
  // The signal that asked, if one did.
  std::optional<int> requested() const noexcept;
  // Readable (poll) from the first request on; never read from it.
  int fd() const noexcept { return event_.get(); }
  // Throws Error{interrupted} or Error{terminated} once the end was requested.
  void throw_if_requested() const;
  Error error() const;

 private:
  Fd event_;
  std::atomic<int> signal_{0};
};

}  // namespace bba
