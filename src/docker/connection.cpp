#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"

namespace asio = boost::asio;

namespace bba::docker {

namespace {

using boost::system::error_code;
using Clock = Stop::Clock;
using Socket = asio::local::stream_protocol::socket;

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

struct Connection::Impl {
  Impl(const Terms& given, std::string what)
      : terms(given), purpose(std::move(what)), silence(given.limits.silence) {
    if (terms.stop == nullptr) return;
    // A duplicate, because the descriptor object closes what it is given.
    const int copy = ::fcntl(terms.stop->fd(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw system_error(ErrorKind::engine, "fcntl(F_DUPFD_CLOEXEC)", errno);
    stop.assign(copy);
    stop.async_wait(asio::posix::stream_descriptor::wait_read, [](const error_code&) {});
  }

  void check() {
    if (terms.stop != nullptr && terms.stop->is_due()) {
      close();
      throw terms.stop->error().in(purpose);
    }
    if (!socket.is_open()) {
      throw Error(ErrorKind::internal, purpose + ": used after the connection was closed");
    }
  }

  // Runs the loop until something happened or `limit` was passed; false for the latter. The timer
  // is left as it is where it fires early enough, so that a busy stream costs no system calls for
  // it.
  bool turn(Clock::time_point limit) {
    const auto deadline = terms.stop != nullptr ? terms.stop->deadline() : std::nullopt;
    const Clock::time_point until = deadline ? std::min(limit, *deadline) : limit;
    if (!timer_armed || timer.expiry() > until) {
      timer.expires_at(until);
      timer.async_wait([this](const error_code& error) {
        if (!error) timer_armed = false;
      });
      timer_armed = true;
    }
    loop.restart();
    loop.run_one();
    check();
    return Clock::now() < limit;
  }

  // Waits until one of the wanted directions is ready.
  void wait(bool want_read, bool want_write) {
    read_ready = write_ready = false;
    const Clock::time_point limit = Clock::now() + silence;
    arm(want_read, read_armed, read_ready, Socket::wait_read);
    arm(want_write, write_armed, write_ready, Socket::wait_write);
    while (!read_ready && !write_ready) {
      if (!turn(limit) && !read_ready && !write_ready) {
        close();
        throw Error(ErrorKind::timeout,
                    fmt::format("{}: the engine was silent for {}", purpose, shown(silence)),
                    "see the engine's log: it hangs, or the container's storage does");
      }
    }
  }

  void arm(bool wanted, bool& armed, bool& ready, Socket::wait_type type) {
    if (!wanted || armed) return;
    armed = true;
    socket.async_wait(type, [&armed, &ready](const error_code&) {
      armed = false;
      ready = true;
    });
  }

  void close() noexcept {
    error_code ignored;
    socket.close(ignored);
  }

  Terms terms;
  std::string purpose;
  std::chrono::milliseconds silence;
  asio::io_context loop{1};
  Socket socket{loop};
  asio::posix::stream_descriptor stop{loop};
  asio::steady_timer timer{loop};
  bool timer_armed = false;
  bool read_armed = false;
  bool write_armed = false;
  bool read_ready = false;
  bool write_ready = false;
};

Connection::Connection(const Terms& terms, std::string purpose)
    : impl_(std::make_unique<Impl>(terms, std::move(purpose))) {
  const std::string& path = terms.socket_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error(ErrorKind::usage, path + ": longer than the path of a socket can be");
  }
  path.copy(address.sun_path, path.size());

  // By hand, because Asio takes the EAGAIN of a full backlog for a connection in progress, and does
  // not close its sockets on exec.
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw system_error(ErrorKind::engine, "socket", errno);
  impl_->socket.assign(asio::local::stream_protocol(), fd);
  impl_->socket.non_blocking(true);

  const Clock::time_point limit = Clock::now() + terms.limits.connect;
  impl_->check();
  while (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) throw connect_error(path, errno);
    if (Clock::now() >= limit) {
      throw Error(ErrorKind::timeout,
                  fmt::format("{}: the engine took no connection within {}", path,
                              shown(terms.limits.connect)),
                  "see the engine's log: it hangs or is overloaded");
    }
    // There is no event for room in a backlog.
    impl_->turn(Clock::now() + std::chrono::milliseconds(5));
  }
}

Connection::~Connection() = default;

void Connection::allow_silence(std::chrono::milliseconds limit) {
  impl_->silence = limit;
}

std::optional<std::size_t> Connection::read_now(std::span<std::byte> buffer) {
  impl_->check();
  error_code error;
  const std::size_t size =
      impl_->socket.read_some(asio::buffer(buffer.data(), buffer.size()), error);
  if (!error) return size;
  // A reset says only that the engine closed without reading all of what it was sent; whether it
  // had said everything itself shows in what came before.
  if (error == asio::error::eof || error == asio::error::connection_reset) return 0;
  if (error == asio::error::would_block) return std::nullopt;
  throw failure("cannot read from the engine: " + error.message());
}

std::size_t Connection::read(std::span<std::byte> buffer) {
  for (;;) {
    if (const std::optional<std::size_t> size = read_now(buffer)) return *size;
    impl_->wait(true, false);
  }
}

bool Connection::write(ByteView bytes, const std::function<bool()>& on_readable) {
  while (!bytes.empty()) {
    impl_->check();
    error_code error;
    const std::size_t size =
        impl_->socket.write_some(asio::buffer(bytes.data(), bytes.size()), error);
    bytes = bytes.subspan(size);
    if (error == asio::error::would_block) {
      impl_->wait(on_readable != nullptr, true);
      if (on_readable && impl_->read_ready && !on_readable()) return false;
    } else if (error == asio::error::broken_pipe || error == asio::error::connection_reset) {
      return false;
    } else if (error) {
      throw failure("cannot write to the engine: " + error.message());
    }
  }
  return true;
}

void Connection::close_write() noexcept {
  error_code ignored;
  impl_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Connection::close() noexcept {
  impl_->close();
}

Error Connection::failure(std::string_view cause, std::string hint) {
  close();
  return Error(ErrorKind::engine, fmt::format("{}: {}", impl_->purpose, cause), std::move(hint));
}

}  // namespace bba::docker
