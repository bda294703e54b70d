// The socket: an engine that is not there, time limits, and what a request to stop does.
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <vector>

#include "support.hpp"

using namespace bba;
using namespace bba::docker;
using namespace bba::test;

namespace {

using Clock = std::chrono::steady_clock;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

int connect_to(const Fd& fd, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// A directory that is removed at the end.
struct Directory {
  std::string path = "/tmp/bba-connection-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

// A socket that accepts no connection and whose queue is full.
struct FullSocket {
  Directory directory;
  std::string path = directory.path + "/s";
  Fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::vector<Fd> waiting;

  FullSocket() {
    const sockaddr_un address = address_of(path);
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listener.get(), 0) == 0);
    do {
      waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    } while (connect_to(waiting.back(), path) == 0);
    REQUIRE(errno == EAGAIN);
  }
};

}  // namespace

TEST_CASE("connect: no socket") {
  const Directory directory;
  Engine engine(directory.path + "/none.sock", patient(), nullptr);
  const Caught error = caught([&] { engine.version(); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.what == directory.path + "/none.sock: there is no such socket");
  CHECK(contains(error.hint, "--host"));
}

TEST_CASE("connect: nothing listens") {
  const Directory directory;
  const std::string path = directory.path + "/s";
  {
    const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(path);
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
  }
  Engine engine(path, patient(), nullptr);
  const Caught error = caught([&] { engine.version(); });
  CHECK(error.kind == ErrorKind::engine);
  CHECK(error.what == path + ": nothing listens on this socket");
  CHECK(contains(error.hint, "start the Docker Engine"));
}

TEST_CASE("connect: no permission") {
  const FakeEngine fake;
  REQUIRE(::chmod(fake.socket_path().c_str(), 0) == 0);
  Engine engine(fake.socket_path(), patient(), nullptr);
  // Root has every permission.
  const uid_t user = ::geteuid();
  if (user == 0) REQUIRE(::seteuid(65534) == 0);
  const Caught error = caught([&] { engine.version(); });
  if (user == 0) REQUIRE(::seteuid(0) == 0);
  CHECK(error.kind == ErrorKind::engine);
  CHECK(contains(error.what, "no permission to use this socket"));
  CHECK(contains(error.hint, "run as root"));
}

TEST_CASE("connect: a path that is too long for a socket") {
  Engine engine("/" + std::string(200, 'x'), patient(), nullptr);
  CHECK(caught([&] { engine.version(); }).kind == ErrorKind::usage);
}

TEST_CASE("connect: an engine that accepts no connection") {
  const FullSocket full;
  Engine engine(full.path, {.connect = 60ms, .silence = 20s}, nullptr);
  const Caught error = caught([&] { engine.version(); });
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(contains(error.what, "accepted no connection within 60 ms"));
}

TEST_CASE("stop: while connecting") {
  const FullSocket full;
  Stop stop;
  Engine engine(full.path, patient(), &stop);
  std::thread asker([&] {
    std::this_thread::sleep_for(30ms);
    stop.request(SIGTERM);
  });
  const Clock::time_point begin = Clock::now();
  const Caught error = caught([&] { engine.version(); });
  asker.join();
  CHECK(error.kind == ErrorKind::terminated);
  CHECK(Clock::now() - begin < 5s);
}

TEST_CASE("stop: while waiting for the header") {
  Stop stop;
  FakeEngine fake;
  fake.on("GET /info", {call([&] { stop.request(SIGINT); }), hold()});
  Engine engine(fake.socket_path(), patient(), &stop);
  const Clock::time_point begin = Clock::now();
  const Caught error = caught([&] { engine.info(); });
  CHECK(Clock::now() - begin < 5s);
  CHECK(error.kind == ErrorKind::interrupted);
  CHECK(contains(error.what, "GET /v1.41/info: "));
  CHECK(fake.saw_close());
}

TEST_CASE("stop: in the middle of a body the connection is closed at once") {
  Stop stop;
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk("abc")), hold()});
  Engine engine(fake.socket_path(), patient(), &stop);
  Body body = engine.get_archive("web", "/data");
  REQUIRE(body.read());
  std::thread asker([&] {
    std::this_thread::sleep_for(20ms);
    stop.request(SIGTERM);
  });
  const Caught error = caught([&] { body.read(); });
  asker.join();
  CHECK(error.kind == ErrorKind::terminated);
  // The Body still exists, so it was the request to stop that closed the connection.
  CHECK(fake.saw_close());
}

TEST_CASE("stop: an endless stream is closed, too") {
  Stop stop;
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk(pattern(4 << 20))), hold()});
  Engine engine(fake.socket_path(), patient(), &stop);
  Body body = engine.get_archive("web", "/data");
  REQUIRE(body.read());
  stop.request(SIGINT);
  CHECK(caught([&] { body.read(); }).kind == ErrorKind::interrupted);
  CHECK(caught([&] { engine.version(); }).kind == ErrorKind::interrupted);
}

TEST_CASE("stop: an unstoppable Engine goes on, with the API version that is known") {
  Stop stop;
  FakeEngine fake;
  fake.on("POST /containers/web/unpause", {send("HTTP/1.1 204 No Content\r\n\r\n")});
  Engine engine(fake.socket_path(), patient(), &stop);
  engine.version();
  stop.request(SIGINT);
  CHECK(caught([&] { engine.unpause("web"); }).kind == ErrorKind::interrupted);
  engine.unstoppable(patient()).unpause("web");
  CHECK(fake.last("POST /containers/web/unpause").target == "/v1.41/containers/web/unpause");
  CHECK(fake.count("GET /version") == 1);
}

TEST_CASE("silence: before the header") {
  FakeEngine fake;
  fake.on("GET /info", {hold()});
  Engine calm(fake.socket_path(), patient(), nullptr);
  calm.version();
  Engine engine = calm.unstoppable({.connect = 20s, .silence = 60ms});
  const Caught error = caught([&] { engine.info(); });
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(error.what == "GET /v1.41/info: the engine was silent for 60 ms");
  CHECK(fake.saw_close());
}

TEST_CASE("silence: in a body, and the connection is closed") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(stream_header + frame(1, "abc")), hold()});
  Engine engine(fake.socket_path(), {.connect = 20s, .silence = 1s}, nullptr);
  Body body = engine.start_exec("e1");
  REQUIRE(body.read());
  const Caught error = caught([&] { body.read(); });
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(error.what == "POST /v1.41/exec/e1/start: the engine was silent for 1s");
  CHECK(fake.saw_close());
}

TEST_CASE("silence: every byte restarts the wait") {
  FakeEngine fake;
  Reply slow{send(stream_header)};
  for (int i = 0; i < 25; ++i) {
    slow.push_back(pause(50ms));
    slow.push_back(send("x"));
  }
  fake.on("POST /exec/e1/start", slow);
  Engine engine(fake.socket_path(), {.connect = 20s, .silence = 1s}, nullptr);
  const Clock::time_point begin = Clock::now();
  Body body = engine.start_exec("e1");
  CHECK(read_all(body) == std::string(25, 'x'));
  CHECK(Clock::now() - begin > 1s);
}

TEST_CASE("silence: a signal that requests no stop ends no wait") {
  struct sigaction ours {};
  struct sigaction before {};
  ours.sa_handler = [](int) {};
  REQUIRE(::sigaction(SIGUSR1, &ours, &before) == 0);
  FakeEngine fake;
  const pthread_t waiting = ::pthread_self();
  fake.on("GET /info", {pause(20ms), call([&] { ::pthread_kill(waiting, SIGUSR1); }), pause(20ms),
                        send(answer(200, R"({"Name":"host1"})"))});
  const Stop stop;
  Engine engine(fake.socket_path(), patient(), &stop);
  CHECK(engine.info().name == "host1");
  REQUIRE(::sigaction(SIGUSR1, &before, nullptr) == 0);
}

TEST_CASE("silence: stopping a container may take as long as its grace period") {
  FakeEngine fake;
  fake.on("POST /containers/web/stop", {pause(300ms), send("HTTP/1.1 204 No Content\r\n\r\n")});
  Engine calm(fake.socket_path(), patient(), nullptr);
  calm.version();
  Engine engine = calm.unstoppable({.connect = 20s, .silence = 100ms});
  engine.stop("web", 20s);
  CHECK(fake.last("POST /containers/web/stop").target == "/v1.41/containers/web/stop?t=20");
}

TEST_CASE("time limit: once it has passed, no request is sent") {
  FakeEngine fake;
  Stop stop;
  stop.set_time_limit(0s);
  Engine engine(fake.socket_path(), patient(), &stop);
  const Caught error = caught([&] { engine.version(); });
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(error.what == "GET /version: the time limit of 0s for the whole command has passed");
  CHECK(contains(error.hint, "--timeout"));
  CHECK(fake.requests().empty());
}

TEST_CASE("time limit: ends a body that never ends") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(stream_header), [](FakeConnection& connection) {
                                    for (int i = 0; i < 1000; ++i) {
                                      connection.send("x");
                                      connection.pause(10ms);
                                    }
                                  }});
  Stop stop;
  Engine engine(fake.socket_path(), patient(), &stop);
  stop.set_time_limit(1s);
  const Caught error = caught([&] {
    Body body = engine.start_exec("e1");
    read_all(body);
  });
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(contains(error.what, "the time limit of 1s"));
}

TEST_CASE("time limit: ends a silence that would have been allowed to last longer") {
  FakeEngine fake;
  fake.on("POST /exec/e1/start", {send(stream_header + "x"), hold()});
  Stop stop;
  Engine engine(fake.socket_path(), patient(), &stop);
  const Clock::time_point begin = Clock::now();
  stop.set_time_limit(1s);
  const Caught error = caught([&] {
    Body body = engine.start_exec("e1");
    read_all(body);
  });
  CHECK(Clock::now() - begin < 10s);
  CHECK(error.kind == ErrorKind::timeout);
  CHECK(contains(error.what, "the time limit of 1s"));
  CHECK(fake.saw_close());
}

TEST_CASE("close: the connection is closed at once, and reading after it is a bug") {
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk("abc")), hold()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  Body body = engine.get_archive("web", "/data");
  body.close();
  CHECK(fake.saw_close());
  CHECK(caught([&] { read_all(body); }).kind == ErrorKind::internal);
}

TEST_CASE("close: destroying a Body closes its connection") {
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk("abc")), hold()});
  Engine engine(fake.socket_path(), patient(), nullptr);
  { const Body body = engine.get_archive("web", "/data"); }
  CHECK(fake.saw_close());
}

TEST_CASE("descriptors: none is left open, and none survives an exec") {
  const auto open_descriptors = [] {
    std::vector<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      numbers.push_back(std::stoi(entry.path().filename().string()));
    }
    return numbers;
  };
  FakeEngine fake;
  fake.on("GET /containers/web/archive", {send(chunked_header + chunk("abc")), hold()});
  Stop stop;
  const std::vector<int> before = open_descriptors();
  {
    Engine engine(fake.socket_path(), patient(), &stop);
    const Body body = engine.get_archive("web", "/data");
    int opened = 0;
    for (const int number : open_descriptors()) {
      if (std::ranges::find(before, number) != before.end()) continue;
      const int flags = ::fcntl(number, F_GETFD);
      if (flags < 0) continue;  // the one that the listing itself had open
      ++opened;
      CHECK((flags & FD_CLOEXEC) != 0);
    }
    CHECK(opened > 0);
  }
  CHECK(fake.saw_close());
}
