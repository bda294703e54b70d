#include "bba/docker/exec_end.hpp"

#include <chrono>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "fake_engine.hpp"
#include "unit/pipe/support.hpp"

namespace bba::docker {
namespace {

using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Clock = std::chrono::steady_clock;

constexpr const char* look = "GET /exec/e1/json";

// The engine's answer about the exec; exit_code is JSON.
std::string status(bool running, const std::string& exit_code, pid_t pid,
                   const std::string& container = "c0ffee") {
  return answer(200, dump_json(Json{{"ID", "e1"},
                                    {"Running", running},
                                    {"ExitCode", parse_json(exit_code).value()},
                                    {"Pid", pid},
                                    {"ContainerID", container}}));
}

// A program of this host. The name of its control group is used as its container's id.
class Program {
 public:
  Program() {
    // Not the test runner's handler, which would report a crash.
    const auto handler = std::signal(SIGTERM, SIG_DFL);
    pid_ = ::fork();
    while (pid_ == 0) ::pause();
    std::signal(SIGTERM, handler);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  std::string container() const {
    const std::string path = fmt::format("/proc/{}/cgroup", pid_);
    return std::string(trimmed(pipe::test::read_file(path)));
  }
  // The signal that ended it; 0 if it still runs after that time. A program that is about to end
  // leaves its control group a moment before its parent is notified.
  int ended_by(std::chrono::seconds patience = {}) const {
    const auto end = Clock::now() + patience;
    for (;;) {
      siginfo_t info{};
      REQUIRE(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0);
      if (info.si_pid == pid_) return info.si_status;
      if (Clock::now() >= end) return 0;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("a program with an exit code has ended, and so has one that the engine no longer knows") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  SUBCASE("ended") {
    fake.on(look, {send(status(false, "0", 4711))});
  }
  SUBCASE("not known") {
    fake.on(look, {send(answer(404, R"({"message":"No such exec instance: e1"})"))});
  }
  CHECK(end_exec(engine, "e1"));
  CHECK(fake.count(look) == 1);
}

TEST_CASE("a program that is just starting is not taken for one that has ended") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  const Program program;
  fake.on(look, {send(status(false, "null", 0))});
  fake.on(look, {send(status(false, "null", 0))});
  fake.on(look, {send(status(true, "null", 0))});
  fake.on(look, {send(status(true, "null", program.pid(), program.container()))});
  CHECK(end_exec(engine, "e1"));
  CHECK(fake.count(look) == 4);
  CHECK(program.ended_by(std::chrono::seconds(30)) == SIGTERM);
}

TEST_CASE("a program without an exit code that never comes was not started") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on(look, {send(status(false, "null", 0))});
  const auto start = Clock::now();
  CHECK(end_exec(engine, "e1"));
  CHECK(Clock::now() - start >= std::chrono::seconds(1));
  CHECK(fake.count(look) > 1);
}

TEST_CASE("a program that runs, and not on this host, cannot be ended from here") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  const Program program;
  fake.on(look, {send(status(true, "null", program.pid(), "another container"))});
  CHECK_FALSE(end_exec(engine, "e1"));
  CHECK(program.ended_by() == 0);
}

TEST_CASE("an engine that cannot say is an error") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on(look, {send(answer(500, R"({"message":"busy"})"))});
  CHECK_THROWS_AS(end_exec(engine, "e1"), docker::ApiError);
}

}  // namespace bba::docker
