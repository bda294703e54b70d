#include "bba/base/stop.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace bba {

Stop::Stop() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw system_error(ErrorKind::internal, "eventfd", errno);
}

void Stop::request(int number) noexcept {
  int expected = 0;
  if (!signal_.compare_exchange_strong(expected, number)) return;
  const int saved_errno = errno;
  const std::uint64_t one = 1;
  // A fresh eventfd takes this write whatever happens; there is nobody to tell if it did not.
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  errno = saved_errno;
}

std::optional<int> Stop::requested() const noexcept {
  const int number = signal_.load();
  return number == 0 ? std::nullopt : std::optional(number);
}

Error Stop::error() const {
  return signal_.load() == SIGINT ? Error(ErrorKind::interrupted, "interrupted by SIGINT")
                                  : Error(ErrorKind::terminated, "ended by SIGTERM");
}

void Stop::throw_if_requested() const {
  if (requested()) throw error();
}

}  // namespace bba
