#include "e2e/relay.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace e2e {

namespace {

constexpr std::string_view scheme = "unix://";

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long: " + path);
  path.copy(address.sun_path, path.size());
  return address;
}

Fd new_socket() {
  return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Whoever polls it is woken, now and from now on.
void raise_event(const Fd& event) {
  const std::uint64_t one = 1;
  static_cast<void>(::write(event.get(), &one, sizeof one) == sizeof one);
}

void clear_event(const Fd& event) {
  std::uint64_t count = 0;
  pollfd raised{event.get(), POLLIN, 0};
  if (::poll(&raised, 1, 0) <= 0) return;
  static_cast<void>(::read(event.get(), &count, sizeof count) == sizeof count);
}

// One way through the relay.
struct Way {
  int from;
  int to;
  std::string kept;  // the last bytes received, which may be the start of the pattern
  bool open = true;
};

}  // namespace

Relay::Relay(const E2eFixture& fixture)
    : fixture_(fixture),
      path_(fixture.path("relay.sock")),
      listener_(new_socket()),
      quit_(::eventfd(0, EFD_CLOEXEC)),
      released_(::eventfd(0, EFD_CLOEXEC)) {
  const sockaddr_un address = address_of(path_);
  ::unlink(path_.c_str());  // of the relay before
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("cannot listen on " + path_);
  }
  acceptor_ = std::thread([this] { accept_all(); });
}

Relay::~Relay() {
  raise_event(quit_);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void Relay::replace_in_answers(const std::string& original, const std::string& replacement) {
  if (original.size() != replacement.size())
    throw std::runtime_error("a replacement of another length");
  const std::lock_guard lock(mutex_);
  original_ = original;
  replacement_ = replacement;
}

void Relay::cut_after(const std::string& said) {
  const std::lock_guard lock(mutex_);
  cut_after_ = said;
}

void Relay::slow_down(const std::string& request, std::chrono::milliseconds by) {
  const std::lock_guard lock(mutex_);
  slow_at_ = request;
  slower_by_ = by;
}

void Relay::hold_at(const std::string& request) {
  const std::lock_guard lock(mutex_);
  hold_at_ = request;
  clear_event(released_);
}

void Relay::release() {
  const std::lock_guard lock(mutex_);
  hold_at_.clear();
  raise_event(released_);
}

void Relay::release_and_hold_answer() {
  hold_answer_ = true;
  release();
}

Strings Relay::command(const Strings& arguments) const {
  Strings command = fixture_.command(arguments);
  for (std::string& word : command) {
    if (word == host()) word = std::string(scheme) + path_;
  }
  return command;
}

void Relay::accept_all() {
  for (;;) {
    pollfd ready[]{{listener_.get(), POLLIN, 0}, {quit_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) return;
    if (ready[1].revents != 0) return;
    if (ready[0].revents == 0) continue;
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) continue;
    clients_.push_back(std::move(client));
    threads_.emplace_back([this, &last = clients_.back()] { pass(last); });
  }
}

void Relay::pass(const Fd& client) {
  const Fd engine = new_socket();
  const sockaddr_un address = address_of(host().substr(scheme.size()));
  if (::connect(engine.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::shutdown(client.get(), SHUT_RDWR);
    return;
  }
  std::string original, replacement, hold, cut, slow;
  std::chrono::milliseconds slower_by{};
  {
    const std::lock_guard lock(mutex_);
    original = original_;
    replacement = replacement_;
    hold = hold_at_;
    cut = cut_after_;
    slow = slow_at_;
    slower_by = slower_by_;
  }
  Way up{client.get(), engine.get(), {}};
  Way down{engine.get(), client.get(), {}};
  // False where the pattern was found, and there is no replacement for it.
  const auto move = [](Way& way, const std::string& wanted, const std::string& other) {
    char buffer[64 * 1024];
    const ssize_t length = ::recv(way.from, buffer, sizeof buffer, 0);
    std::string text = std::move(way.kept);
    way.kept.clear();
    if (length > 0) text.append(buffer, static_cast<std::size_t>(length));
    const std::size_t at = wanted.empty() ? text.npos : text.find(wanted);
    if (at != text.npos && other.empty()) {
      way.kept = std::move(text);  // for release()
      return false;
    }
    if (at != text.npos) text.replace(at, wanted.size(), other);
    // No more than what may still become it.
    for (std::size_t part = std::min(wanted.size(), text.size() + 1); part-- > 1;) {
      if (length <= 0 || !text.ends_with(wanted.substr(0, part))) continue;
      way.kept = text.substr(text.size() - part);
      text.resize(text.size() - part);
      break;
    }
    if (!send_all(way.to, text) || length <= 0) {
      ::shutdown(way.to, SHUT_WR);
      way.open = false;
    }
    return true;
  };
  // Upwards, where what is looked for delays what the engine hears, or ends it.
  const std::string& wanted = cut.empty() ? slow : cut;
  bool deaf = false;
  const auto hear = [&] {
    char buffer[64 * 1024];
    const ssize_t length = ::recv(up.from, buffer, sizeof buffer, 0);
    if (length <= 0) {
      if (!deaf) ::shutdown(up.to, SHUT_WR);
      up.open = false;
      return;
    }
    if (deaf) return;
    const std::size_t before = up.kept.size();
    up.kept.append(buffer, static_cast<std::size_t>(length));
    std::size_t end = up.kept.size();
    if (const std::size_t at = up.kept.find(wanted); at != up.kept.npos && !cut.empty()) {
      end = at + cut.size();
      deaf = true;
    } else if (at != up.kept.npos) {
      ++late_;
      pollfd quit{quit_.get(), POLLIN, 0};
      ::poll(&quit, 1, static_cast<int>(slower_by.count()));
    }
    send_all(up.to, std::string_view(up.kept).substr(before, end - before));
    if (deaf) ::shutdown(up.to, SHUT_WR);
    up.kept.erase(0, up.kept.size() - std::min(up.kept.size(), wanted.size() - 1));
  };
  // Whether what stalls may go on: it may also be that the program goes, or the case ends.
  const auto is_released = [&](std::atomic<int>& counter) {
    ++counter;
    pollfd ready[]{
        {client.get(), POLLRDHUP, 0}, {quit_.get(), POLLIN, 0}, {released_.get(), POLLIN, 0}};
    while (::poll(ready, 3, -1) < 0 && errno == EINTR) {
    }
    --counter;
    return ready[0].revents == 0 && ready[1].revents == 0;
  };
  while (up.open || down.open) {
    pollfd ready[]{{up.open ? up.from : -1, POLLIN, 0},
                   {down.open ? down.from : -1, POLLIN, 0},
                   {quit_.get(), POLLIN, 0}};
    if (::poll(ready, 3, -1) < 0 && errno != EINTR) break;
    if (ready[2].revents != 0) break;
    if (ready[0].revents != 0 && !wanted.empty()) {
      hear();
    } else if (ready[0].revents != 0 && !move(up, hold, {})) {
      if (!is_released(holding_)) break;
      hold.clear();
      send_all(up.to, std::exchange(up.kept, {}));
      if (hold_answer_.exchange(false)) {
        clear_event(released_);
        pollfd answer[]{{down.from, POLLIN, 0}, {quit_.get(), POLLIN, 0}};
        while (::poll(answer, 2, -1) < 0 && errno == EINTR) {
        }
        if (answer[1].revents != 0 || !is_released(held_answers_)) break;
      }
      continue;
    }
    if (ready[1].revents != 0) move(down, original, replacement);
    if (!down.open) break;  // the engine has said everything
  }
  ::shutdown(client.get(), SHUT_RDWR);
}

}  // namespace e2e
