#include "bba/base/stop.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"

namespace bba {

Stop::Stop() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw system_error(ErrorKind::internal, "eventfd", errno);
}

void Stop::request(int number) noexcept {
  int expected = 0;
  if (!signal_.compare_exchange_strong(expected, number)) return;
  const int saved_errno = errno;
  const std::uint64_t one = 1;
  // A fresh eventfd always takes this write; a signal handler could not report an error.
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  errno = saved_errno;
}

std::optional<int> Stop::requested() const noexcept {
  const int number = signal_.load();
  return number == 0 ? std::nullopt : std::optional(number);
}

void Stop::set_time_limit(std::chrono::seconds limit) {
  time_limit_ = limit;
  deadline_ = Clock::now() + limit;
}

bool Stop::is_due() const noexcept {
  return requested() || (deadline_ && Clock::now() >= *deadline_);
}

Error Stop::error() const {
  const auto signal = requested();
  if (signal == SIGINT) return Error(ErrorKind::interrupted, "interrupted by SIGINT");
  if (signal || !deadline_) return Error(ErrorKind::terminated, "ended by SIGTERM");
  return Error(ErrorKind::timeout,
               fmt::format("the time limit of {} for the whole command has passed",
                           format_duration(time_limit_)),
               "give it more time with --timeout");
}

void Stop::throw_if_requested() const {
  if (is_due()) throw error();
}

}  // namespace bba
