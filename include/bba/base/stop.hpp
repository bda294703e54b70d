// What ends the run early: SIGINT, SIGTERM, a time limit, or a test. Every wait also polls fd(),
// and ends at deadline().
#pragma once

#include <atomic>
#include <chrono>
#include <optional>

#include "bba/base/fd.hpp"

namespace bba {

class Stop {
 public:
  using Clock = std::chrono::steady_clock;

  Stop();
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Requests a stop, as the signal `number` does. Safe in a signal handler and from any thread;
  // the first request counts.
  void request(int number) noexcept;
  // From now on; to be set before another thread has the Stop.
  void set_time_limit(std::chrono::seconds limit);
  std::optional<Clock::time_point> deadline() const noexcept { return deadline_; }
  // The signal that came, if any.
  std::optional<int> requested() const noexcept;
  // Readable (poll) from the first request on; never read from it.
  int fd() const noexcept { return event_.get(); }
  // A signal came, or the time limit has passed.
  bool is_due() const noexcept;
  // Throws Error{interrupted}, Error{terminated} or Error{timeout} once it is due.
  void throw_if_requested() const;
  // What to throw where it is due.
  Error error() const;

 private:
  Fd event_;
  std::atomic<int> signal_{0};
  std::chrono::seconds time_limit_{};
  std::optional<Clock::time_point> deadline_;
};

}  // namespace bba
