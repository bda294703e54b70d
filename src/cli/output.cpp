#include "output.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace bba::cli {

namespace {

using namespace std::chrono_literals;

// How long output is still tried after a stop, for a reader that is only slow.
constexpr auto last_patience = 500ms;

// How long poll() may wait until the limit is passed, -1 for ever.
int patience(const Stop* stop) noexcept {
  if (stop == nullptr || !stop->deadline()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(*stop->deadline() - Stop::Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
}

// False where the run is to stop and the reader takes nothing.
bool wait_for_room(int fd, const Stop* stop) noexcept {
  for (;;) {
    const bool is_due = stop != nullptr && stop->is_due();
    pollfd wanted[] = {{.fd = fd, .events = POLLOUT, .revents = 0},
                       {.fd = stop != nullptr ? stop->fd() : -1, .events = POLLIN, .revents = 0}};
    // Once a signal has come, the second is always readable.
    const int ready = is_due ? ::poll(wanted, 1, static_cast<int>(last_patience.count()))
                             : ::poll(wanted, 2, patience(stop));
    // The write reports an error, or a reader that is gone.
    if (wanted[0].revents != 0) return true;
    if (is_due && ready == 0) return false;
  }
}

}  // namespace

void occupy_standard_streams() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest number that is free: `fd`.
    [[maybe_unused]] const int opened =
        ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

WriteResult write_text(int fd, std::string_view text, const Stop* stop) noexcept {
  while (!text.empty()) {
    if (!wait_for_room(fd, stop)) return WriteResult::stopped;
    // As much as a pipe takes at once where it takes anything: a write that blocks would not see
    // the request to stop.
    const ssize_t count = ::write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return WriteResult::failed;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return WriteResult::all;
}

bool takes_more(int fd) noexcept {
  pollfd wanted{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&wanted, 1, 0) == 1;
}

}  // namespace bba::cli
