// A scripted Docker Engine on a unix socket in a directory of its own, for every reply that a real
// one gives only when it breaks. Plain sockets and no HTTP library, so that it can falsify
// anything.
//
//   FakeEngine fake;
//   fake.on("GET /containers/web/json", {send(answer(200, "{...}"))});
//   fake.on("POST /exec/e1/start", {send(stream_header), send(frame(1, "abc")), hold()});
//   Engine engine(fake.socket_path(), limits, &stop);
//
// Replies are chosen by method and path, without version prefix and query. Several for one request
// are given in turn, the last of them from then on. GET /version is answered from the start; what
// is not scripted gets a 404. Each connection has a thread of its own and carries one request.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "bba/base/fd.hpp"

namespace bba::test {

struct SeenRequest {
  std::string method;
  std::string target;  // as it came, with version and query
  std::string header;  // the complete head
  std::string body;    // decoded
};

class FakeConnection;
using Step = std::function<void(FakeConnection&)>;
using Reply = std::vector<Step>;

// ---- the engine

class FakeEngine {
 public:
  FakeEngine() {
    char name[] = "/tmp/bba-fake-engine-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = name;
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 64) != 0) {
      throw std::runtime_error("cannot listen on " + socket_path());
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;
  ~FakeEngine() {
    {
      const std::lock_guard lock(mutex_);
      quitting_ = true;
      for (const Fd& fd : connections_) ::shutdown(fd.get(), SHUT_RDWR);
    }
    changed_.notify_all();
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    std::filesystem::remove_all(directory_);
  }

  std::string socket_path() const { return directory_ + "/engine.sock"; }
  std::string host() const { return "unix://" + socket_path(); }

  void on(const std::string& request, Reply reply) {
    const std::lock_guard lock(mutex_);
    replies_[request].push_back(std::move(reply));
  }

  // Replies as soon as the request's head came, and leaves its body unread.
  void on_head(const std::string& request, Reply reply) {
    on(request, std::move(reply));
    const std::lock_guard lock(mutex_);
    unread_.insert(request);
  }

  // What came so far, in order of arrival.
  std::vector<SeenRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::size_t count(std::string_view request) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(
        requests_, [&](const SeenRequest& seen) { return key_of(seen) == request; }));
  }
  // The last request of this kind; throws where there is none.
  SeenRequest last(std::string_view request) const {
    const std::lock_guard lock(mutex_);
    for (auto seen = requests_.rbegin(); seen != requests_.rend(); ++seen) {
      if (key_of(*seen) == request) return *seen;
    }
    throw std::runtime_error("no such request came: " + std::string(request));
  }

  // Whether a client closed a connection on which the fake was holding still, `times` times by now
  // or within a few seconds.
  bool saw_close(std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return closes_ >= times; });
  }

 private:
  friend class FakeConnection;

  static std::string key_of(const SeenRequest& request) {
    std::string path = request.target.substr(0, request.target.find('?'));
    if (path.starts_with("/v1.")) path.erase(0, path.find('/', 1));
    return request.method + " " + path;
  }

  void accept_all();
  void serve(int fd);
  bool answered_at_once(const SeenRequest& request);
  Reply reply_to(const SeenRequest& request);

  std::string directory_;
  Fd listener_;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::deque<Reply>> replies_;
  std::set<std::string> unread_;  // requests that are answered before their body is read
  std::vector<SeenRequest> requests_;
  std::list<Fd> connections_;
  std::vector<std::thread> threads_;
  std::size_t closes_ = 0;
  bool quitting_ = false;
};

// ---- one connection, as the steps of a reply see it

class FakeConnection {
 public:
  FakeConnection(FakeEngine& engine, int fd) : engine_(engine), fd_(fd) {}

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size < 0) return;  // the client left: what it missed shows on its side
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }

  // What the client sends next; empty at its end.
  std::string receive() {
    if (!ahead_.empty()) return std::exchange(ahead_, {});
    std::string bytes(64 << 10, '\0');
    const ssize_t size = ::recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }

  void pause(std::chrono::milliseconds span) {
    std::unique_lock lock(engine_.mutex_);
    engine_.changed_.wait_for(lock, span, [&] { return engine_.quitting_; });
  }

  void hold() {
    while (!receive().empty()) {
    }
    const std::lock_guard lock(engine_.mutex_);
    ++engine_.closes_;
    engine_.changed_.notify_all();
  }

  std::optional<SeenRequest> read_head() {
    SeenRequest request;
    std::size_t end;
    while ((end = request.header.find("\r\n\r\n")) == std::string::npos) {
      const std::string more = receive();
      if (more.empty()) return std::nullopt;
      request.header += more;
    }
    ahead_ = request.header.substr(end + 4);
    request.header.resize(end + 4);
    const std::size_t method_end = request.header.find(' ');
    request.method = request.header.substr(0, method_end);
    request.target = request.header.substr(
        method_end + 1, request.header.find(' ', method_end + 1) - method_end - 1);
    return request;
  }

  void read_body(SeenRequest& request) {
    constexpr std::string_view length = "Content-Length: ";
    if (const std::size_t at = request.header.find(length); at != std::string::npos) {
      const std::size_t size = std::stoul(request.header.substr(at + length.size()));
      while (request.body.size() < size && read_more(request.body)) {
      }
    } else if (request.header.find("Transfer-Encoding: chunked") != std::string::npos) {
      read_chunks(request.body);
    }
  }

 private:
  bool read_more(std::string& text) {
    const std::string more = receive();
    text += more;
    return !more.empty();
  }

  void read_chunks(std::string& body) {
    std::string raw;
    for (;;) {
      std::size_t end;
      while ((end = raw.find("\r\n")) == std::string::npos) {
        if (!read_more(raw)) return;
      }
      const std::size_t size = std::stoul(raw.substr(0, end), nullptr, 16);
      raw.erase(0, end + 2);
      while (raw.size() < size + 2) {
        if (!read_more(raw)) return;
      }
      body.append(raw, 0, size);
      raw.erase(0, size + 2);
      if (size == 0) return;
    }
  }

  FakeEngine& engine_;
  int fd_;
  std::string ahead_;  // received with the head
};

// ---- steps

inline Step send(std::string bytes) {
  return [bytes = std::move(bytes)](FakeConnection& connection) { connection.send(bytes); };
}
inline Step pause(std::chrono::milliseconds span) {
  return [span](FakeConnection& connection) { connection.pause(span); };
}
// Sends nothing more until the client closes (FakeEngine::saw_close()).
inline Step hold() {
  return [](FakeConnection& connection) { connection.hold(); };
}
// Runs a function of the test at this point of the reply.
inline Step call(std::function<void()> action) {
  return [action = std::move(action)](FakeConnection&) { action(); };
}

// ---- texts

// A whole answer with a Content-Length.
inline std::string answer(int status, std::string_view body,
                          std::string_view type = "application/json") {
  return "HTTP/1.1 " + std::to_string(status) + " Status\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
inline const std::string chunked_header =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n";
// Framed by the close of the connection.
inline const std::string stream_header =
    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
inline const std::string upgraded_header =
    "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
inline std::string chunk(std::string_view bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + std::string(bytes) + "\r\n";
}
inline const std::string last_chunk = "0\r\n\r\n";
inline std::string frame(int stream, std::string_view payload) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(stream);
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[7 - i] = static_cast<char>(payload.size() >> (8 * i) & 0xff);
  }
  return bytes.append(payload);
}

// Sends everything back, in frames of stdout, until the client closes its end.
inline Step echo_frames() {
  return [](FakeConnection& connection) {
    for (std::string bytes = connection.receive(); !bytes.empty(); bytes = connection.receive()) {
      connection.send(frame(1, bytes));
    }
  };
}

// ---- the rest of FakeEngine

inline void FakeEngine::accept_all() {
  for (;;) {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const std::lock_guard lock(mutex_);
    if (!fd || quitting_) return;
    const int number = fd.get();
    connections_.push_back(std::move(fd));
    threads_.emplace_back([this, number] { serve(number); });
  }
}

inline void FakeEngine::serve(int fd) {
  FakeConnection connection(*this, fd);
  if (std::optional<SeenRequest> request = connection.read_head()) {
    if (!answered_at_once(*request)) connection.read_body(*request);
    for (const Step& step : reply_to(*request)) step(connection);
  }
  const std::lock_guard lock(mutex_);
  connections_.remove_if([fd](const Fd& held) { return held.get() == fd; });
}

inline bool FakeEngine::answered_at_once(const SeenRequest& request) {
  const std::lock_guard lock(mutex_);
  return unread_.contains(key_of(request));
}

inline Reply FakeEngine::reply_to(const SeenRequest& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  const auto found = replies_.find(key_of(request));
  if (found == replies_.end()) {
    if (key_of(request) == "GET /version") {
      return {test::send(answer(200, R"({"Version":"20.10.24","ApiVersion":"1.41",)"
                                     R"("MinAPIVersion":"1.12"})"))};
    }
    return {test::send(answer(404, R"({"message":"page not found"})"))};
  }
  std::deque<Reply>& queue = found->second;
  Reply reply = queue.front();
  if (queue.size() > 1) queue.pop_front();
  return reply;
}

}  // namespace bba::test
