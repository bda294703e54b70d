#include "bba/base/stop.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace bba;

namespace {

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

}  // namespace

TEST_CASE("no stop is requested at first") {
  const Stop stop;
  CHECK_FALSE(stop.requested().has_value());
  CHECK_FALSE(readable(stop.fd()));
  CHECK_NOTHROW(stop.throw_if_requested());
}

TEST_CASE("a stop request stays, and only the first one counts") {
  Stop stop;
  stop.request(SIGTERM);
  stop.request(SIGINT);
  CHECK(stop.requested() == SIGTERM);
  CHECK(readable(stop.fd()));
  CHECK(readable(stop.fd()));
  CHECK(stop.error().kind() == ErrorKind::terminated);
  try {
    stop.throw_if_requested();
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::terminated);
  }
}

TEST_CASE("SIGINT is reported as an interruption") {
  Stop stop;
  stop.request(SIGINT);
  CHECK(stop.error().kind() == ErrorKind::interrupted);
}

TEST_CASE("a time limit takes effect once it has passed, and a signal takes precedence over it") {
  Stop stop;
  CHECK_FALSE(stop.deadline().has_value());
  stop.set_time_limit(std::chrono::hours(1));
  CHECK_FALSE(stop.is_due());
  CHECK_NOTHROW(stop.throw_if_requested());
  stop.set_time_limit(std::chrono::seconds(0));
  CHECK(stop.is_due());
  CHECK_FALSE(stop.requested().has_value());
  CHECK(stop.error().kind() == ErrorKind::timeout);
  CHECK_THROWS_WITH_AS(stop.throw_if_requested(),
                       "the time limit of 0s for the whole command has passed", Error);
  stop.request(SIGTERM);
  CHECK(stop.error().kind() == ErrorKind::terminated);
}

TEST_CASE("a signal handler may request a stop, and errno is kept") {
  static Stop stop;
  struct sigaction action {};
  action.sa_handler = [](int number) { stop.request(number); };
  struct sigaction before {};
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  errno = EDOM;
  std::raise(SIGUSR1);
  CHECK(errno == EDOM);
  ::sigaction(SIGUSR1, &before, nullptr);
  CHECK(stop.requested() == SIGUSR1);
}

TEST_CASE("a thread that waits is woken by a stop request") {
  Stop stop;
  int woken = 0;
  std::thread waiter([&] {
    pollfd entry{stop.fd(), POLLIN, 0};
    woken = ::poll(&entry, 1, 60'000);
  });
  stop.request(SIGTERM);
  waiter.join();
  CHECK(woken == 1);
}

TEST_CASE("of many concurrent stop requests exactly one is kept") {
  Stop stop;
  std::vector<std::thread> threads;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    threads.emplace_back([&stop, number] { stop.request(number); });
  }
  for (std::thread& thread : threads) thread.join();
  const auto kept = stop.requested();
  REQUIRE(kept.has_value());
  stop.request(SIGUSR2);
  CHECK(stop.requested() == kept);
}
