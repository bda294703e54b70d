#include "cli/output.hpp"

#include <csignal>
#include <fcntl.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/base/fd.hpp"

using namespace bba;
using namespace bba::cli;

namespace {

struct Pipe {
  Fd reader, writer;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

const std::string more_than_a_pipe_holds(1 << 20, 'x');

}  // namespace

TEST_CASE("output: a slow reader gets everything") {
  Pipe pipe;
  std::string got;
  std::thread reader(
      [&] { got = read_rest(pipe.reader.get(), 2 << 20, ErrorKind::internal, "pipe"); });
  const Stop stop;
  CHECK(write_text(pipe.writer.get(), more_than_a_pipe_holds, &stop) == WriteResult::all);
  CHECK(write_text(pipe.writer.get(), "end", nullptr) == WriteResult::all);
  pipe.writer.reset();
  reader.join();
  CHECK(got == more_than_a_pipe_holds + "end");
}

TEST_CASE("output: a request to stop ends the wait for a reader that takes nothing") {
  Pipe pipe;
  Stop stop;
  CHECK(takes_more(pipe.writer.get()));
  std::thread asks([&] {
    while (takes_more(pipe.writer.get())) std::this_thread::yield();
    stop.request(SIGTERM);
  });
  CHECK(write_text(pipe.writer.get(), more_than_a_pipe_holds, &stop) == WriteResult::stopped);
  asks.join();
  CHECK_FALSE(takes_more(pipe.writer.get()));
}

TEST_CASE("output: a full disk, a closed pipe and a closed descriptor are errors") {
  std::signal(SIGPIPE, SIG_IGN);
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CHECK(write_text(full.get(), "x", nullptr) == WriteResult::failed);
  CHECK(errno == ENOSPC);
  Pipe left;
  left.reader.reset();
  CHECK(write_text(left.writer.get(), "x", nullptr) == WriteResult::failed);
  CHECK(errno == EPIPE);
  const int closed = left.writer.get();
  left.writer.reset();
  CHECK(write_text(closed, "x", nullptr) == WriteResult::failed);
  CHECK(errno == EBADF);
}

TEST_CASE("output: closed standard streams are occupied, and writing to them still fails") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int fd : {0, 1, 2}) ::close(fd);
    occupy_standard_streams();
    char byte = 0;
    const bool good = ::read(0, &byte, 1) < 0 && ::write(1, "x", 1) < 0 && ::write(2, "x", 1) < 0 &&
                      ::open("/dev/null", O_RDONLY | O_CLOEXEC) > 2;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
