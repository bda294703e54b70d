#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"

namespace bba::docker {

namespace {

using Clock = Stop::Clock;

std::string shown(std::chrono::milliseconds span) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(span);
  if (seconds == span) return format_duration(seconds);
  return fmt::format("{} ms", span.count());
}

Error connect_error(const std::string& path, int error_number) {
  const auto error = [&](std::string_view cause, std::string hint) {
    return Error(ErrorKind::engine, fmt::format("{}: {}", path, cause), std::move(hint));
  };
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return error("there is no such socket",
                   "start the Docker Engine, or name its socket with --host or DOCKER_HOST");
    case ECONNREFUSED:
      return error("nothing listens on this socket",
                   "start the Docker Engine, or name its socket with --host or DOCKER_HOST");
    case EACCES:
    case EPERM:
      return error("no permission to use this socket", "run as root, or as a member of its group");
    default:
      return system_error(ErrorKind::engine, "cannot connect to " + path, error_number);
  }
}

}  // namespace

Connection::Connection(const Terms& terms, std::string purpose)
    : terms_(terms), purpose_(std::move(purpose)), silence_(terms.limits.silence) {
  const std::string& path = terms_.socket_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error(ErrorKind::usage, path + ": longer than the path of a socket can be");
  }
  path.copy(address.sun_path, path.size());

  socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) throw system_error(ErrorKind::engine, "socket", errno);

  const Clock::time_point limit = Clock::now() + terms_.limits.connect;
  check();
  while (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
         0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw connect_error(path, errno);
    if (Clock::now() >= limit) {
      throw Error(ErrorKind::timeout,
                  fmt::format("{}: the engine accepted no connection within {}", path,
                              shown(terms_.limits.connect)),
                  "see the engine's log: it hangs or is overloaded");
    }
    // There is no event for room in a backlog.
    wait(0, Clock::now() + std::chrono::milliseconds(5));
  }
}

void Connection::allow_silence(std::chrono::milliseconds limit) {
  silence_ = limit;
}

void Connection::check() {
  if (terms_.stop != nullptr && terms_.stop->is_due()) {
    close();
    throw terms_.stop->error().in(purpose_);
  }
  if (!socket_) {
    throw Error(ErrorKind::internal, purpose_ + ": used after the connection was closed");
  }
}

short Connection::wait(short events, Clock::time_point limit) {
  // Without events the socket is not polled at all: an unconnected one reports a hang-up.
  pollfd wanted[2] = {{.fd = events != 0 ? socket_.get() : -1, .events = events, .revents = 0},
                      {.fd = -1, .events = POLLIN, .revents = 0}};
  Clock::time_point until = limit;
  if (terms_.stop != nullptr) {
    wanted[1].fd = terms_.stop->fd();
    until = std::min(until, terms_.stop->deadline().value_or(until));
  }
  for (;;) {
    // Rounded up, so that the limit has passed once poll() times out.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    const auto timeout = std::clamp<decltype(left)>(left, 0, std::numeric_limits<int>::max());
    const int ready = ::poll(wanted, std::size(wanted), static_cast<int>(timeout));
    if (ready < 0 && errno != EINTR) throw system_error(ErrorKind::engine, "poll", errno);
    check();
    if (ready > 0) return wanted[0].revents;
    if (Clock::now() >= limit) return 0;
  }
}

short Connection::wait_for_engine(short events) {
  const short ready = wait(events, Clock::now() + silence_);
  if (ready != 0) return ready;
  close();
  throw Error(ErrorKind::timeout,
              fmt::format("{}: the engine was silent for {}", purpose_, shown(silence_)),
              "see the engine's log: it hangs, or the container's storage does");
}

std::optional<std::size_t> Connection::read_now(std::span<std::byte> buffer) {
  check();
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size >= 0) return static_cast<std::size_t>(size);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return std::nullopt;
    // A reset only means that the engine closed without reading all that it was sent; whether its
    // answer is complete shows in what came before.
    if (errno == ECONNRESET) return 0;
    throw failure("cannot read from the engine: " + std::generic_category().message(errno));
  }
}

std::size_t Connection::read(std::span<std::byte> buffer) {
  for (;;) {
    if (const std::optional<std::size_t> size = read_now(buffer)) return *size;
    wait_for_engine(POLLIN);
  }
}

bool Connection::write(ByteView bytes, const std::function<bool()>& on_readable) {
  while (!bytes.empty()) {
    check();
    const ssize_t size = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      const short ready = wait_for_engine(on_readable ? POLLIN | POLLOUT : POLLOUT);
      if (on_readable && (ready & ~POLLOUT) != 0 && !on_readable()) return false;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return false;
    } else if (errno != EINTR) {
      throw failure("cannot write to the engine: " + std::generic_category().message(errno));
    }
  }
  return true;
}

void Connection::close_write() noexcept {
  ::shutdown(socket_.get(), SHUT_WR);
}

void Connection::close() noexcept {
  socket_.reset();
}

Error Connection::failure(std::string_view cause, std::string hint) {
  close();
  return Error(ErrorKind::engine, fmt::format("{}: {}", purpose_, cause), std::move(hint));
}

}  // namespace bba::docker
