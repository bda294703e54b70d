#include "bba/base/fd.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/stat.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <doctest/doctest.h>

using namespace bba;

namespace {

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  Fd reader, writer;
};

// A file with this content, gone at the end.
struct TempFile {
  explicit TempFile(std::string_view content) {
    const Fd file(::mkostemp(path, O_CLOEXEC));
    REQUIRE(file);
    write_all(file.get(), as_bytes(content), ErrorKind::storage, "temp file");
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { ::unlink(path); }
  char path[32] = "/tmp/bba-fd-test-XXXXXX";
};

std::string error_text(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a descriptor is closed once, by its last owner") {
  Pipe pipe;
  const int number = pipe.reader.get();
  {
    Fd first = std::move(pipe.reader);
    CHECK_FALSE(pipe.reader);
    Fd second;
    second = std::move(first);
    CHECK(second.get() == number);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("assigning closes the old descriptor, and assigning to itself keeps it") {
  Pipe one;
  Pipe two;
  const int old_number = one.reader.get();
  one.reader = std::move(two.reader);
  CHECK_FALSE(is_open(old_number));
  Fd& same = one.reader;
  one.reader = std::move(same);
  CHECK(is_open(one.reader.get()));
  one.reader.reset();
  CHECK_FALSE(one.reader);
}

TEST_CASE("write_all goes on after short writes and signals") {
  Pipe pipe;
  // A pipe takes 64 KiB; the timer's signals cut the writes into pieces.
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART: write is interrupted
  struct sigaction before {};
  REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
  const itimerval often{{0, 1000}, {0, 1000}};
  const itimerval never{};
  std::string received;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  std::thread reader(
      [&] { received = read_rest(pipe.reader.get(), 64 << 20, ErrorKind::internal, "pipe"); });
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  ::setitimer(ITIMER_REAL, &often, nullptr);
  std::string sent;
  for (int i = 0; sent.size() < (8u << 20); ++i) sent += std::to_string(i);
  write_all(pipe.writer.get(), as_bytes(sent), ErrorKind::internal, "pipe");
  pipe.writer.reset();
  reader.join();
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(received.size() == sent.size());
  CHECK((received == sent));
}

TEST_CASE("write_all says what failed") {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(full);
  CHECK(error_text([&] {
          write_all(full.get(), as_bytes("x"), ErrorKind::config, "the artifact");
        }) == "the artifact: No space left on device");
  write_all(full.get(), {}, ErrorKind::config, "nothing");  // nothing to write, nothing fails
}

TEST_CASE("a small file is read whole, up to its limit") {
  const TempFile file(std::string(40'000, 'x') + "end");
  CHECK(read_small_file(file.path, 40'003, ErrorKind::config).ends_with("xend"));
  CHECK(error_text([&] { read_small_file(file.path, 40'002, ErrorKind::config); }) ==
        std::string(file.path) + ": larger than 39.1 KiB");
  const TempFile empty("");
  CHECK(read_small_file(empty.path, 0, ErrorKind::config).empty());
}

TEST_CASE("a file that is missing, a directory, or endless is an error") {
  CHECK(error_text([] { read_small_file("/nowhere/x", 10, ErrorKind::config); }) ==
        "/nowhere/x: No such file or directory");
  CHECK(error_text([] { read_small_file("/tmp", 10, ErrorKind::config); }) ==
        "/tmp: Is a directory");
  CHECK(error_text([] { read_small_file("/dev/zero", 1 << 20, ErrorKind::config); }) ==
        "/dev/zero: larger than 1.0 MiB");
}

TEST_CASE("a FIFO without a writer is not waited for") {
  std::string directory = "/tmp/bba-fd-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const std::string fifo = directory + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(read_small_file(fifo, 10, ErrorKind::config).empty());
  ::unlink(fifo.c_str());
  ::rmdir(directory.c_str());
}
