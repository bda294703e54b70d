// What is written to standard error: a live line on a terminal, plain lines elsewhere.
#include "cli/terminal.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <stdlib.h>
#include <string>
#include <sys/ioctl.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/base/fd.hpp"
#include "bba/base/text.hpp"

using namespace bba;
using namespace bba::cli;

namespace {

// What a terminal writes to something that is not a terminal.
std::string plain(Terminal::Style style, const std::function<void(Terminal&)>& act) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* unnamed = std::tmpfile();
  REQUIRE(unnamed != nullptr);
  Terminal terminal(::fileno(unnamed), style, nullptr);
  act(terminal);
  std::rewind(unnamed);
  const ssize_t got = ::getdelim(&text, &size, '\0', unnamed);
  const std::string out(text == nullptr || got < 0 ? "" : text);
  std::free(text);
  std::fclose(unnamed);
  return out;
}

// The same on a pseudo-terminal of 80 columns.
std::string on_terminal(Terminal::Style style, const std::function<void(Terminal&)>& act) {
  const Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(master);
  REQUIRE(::grantpt(master.get()) == 0);
  REQUIRE(::unlockpt(master.get()) == 0);
  char name[128];
  REQUIRE(::ptsname_r(master.get(), name, sizeof name) == 0);
  std::FILE* stream = ::fdopen(::open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC), "w");
  REQUIRE(stream != nullptr);
  termios mode{};
  REQUIRE(::tcgetattr(::fileno(stream), &mode) == 0);
  mode.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  REQUIRE(::tcsetattr(::fileno(stream), TCSANOW, &mode) == 0);
  const winsize size{24, 80, 0, 0};
  REQUIRE(::ioctl(master.get(), TIOCSWINSZ, &size) == 0);
  {
    Terminal terminal(::fileno(stream), style, nullptr);
    act(terminal);
  }
  std::fclose(stream);
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(master.get(), buffer, sizeof buffer);
    if (got <= 0) break;  // EIO: the other side is closed and everything is read
    out.append(buffer, static_cast<std::size_t>(got));
  }
  return out;
}

const Terminal::Style quiet{.quiet = true};
const Terminal::Style verbose{.verbose = true};
const Terminal::Style never{.color = Color::never};
const Terminal::Style always{.color = Color::always};

// Reports progress until the terminal's clock lets it draw the first time, and once more.
void show(Terminal& terminal, const Progress& progress) {
  terminal.progress(progress);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(200)) {
    std::this_thread::yield();
  }
  terminal.progress(progress);
}

void say_all(Terminal& terminal) {
  terminal.note("a note");
  terminal.detail("a detail");
  terminal.warning("a warning");
  terminal.error(Error(ErrorKind::engine, "an error", "a hint"));
}

}  // namespace

TEST_CASE("terminal: plain lines, and what --quiet and --verbose change") {
  CHECK(plain({}, say_all) == "a note\nwarning: a warning\nerror: an error\nhint: a hint\n");
  CHECK(plain(quiet, say_all) == "warning: a warning\nerror: an error\nhint: a hint\n");
  CHECK(plain(verbose, say_all) ==
        "a note\na detail\nwarning: a warning\nerror: an error\nhint: a hint\n");
}

TEST_CASE("terminal: an error without a hint has no hint line") {
  CHECK(plain({}, [](Terminal& terminal) {
          terminal.error(Error(ErrorKind::internal, "broken").in("doing it"));
        }) == "error: doing it: broken\n");
}

TEST_CASE("terminal: control characters from outside never reach the screen") {
  const std::string out = plain(always, [](Terminal& terminal) {
    terminal.note("a\x1b[2Jb\nc");
    terminal.warning("\x07");
    terminal.error(Error(ErrorKind::engine, "x\r", "y\x1b]0;z\x07"));
  });
  CHECK(out.find("a\\x1b[2Jb\\nc") != std::string::npos);
  CHECK(out.find('\x07') == std::string::npos);
  CHECK(out.find('\r') == std::string::npos);
  CHECK(out.find("\x1b[2J") == std::string::npos);
  CHECK(out.find("\x1b]0") == std::string::npos);
}

TEST_CASE("terminal: color is used where it is wanted") {
  CHECK(plain({}, say_all).find('\x1b') == std::string::npos);
  CHECK(plain(always, say_all).find("\x1b[31merror: \x1b[0man error\n") != std::string::npos);
  CHECK(on_terminal({}, say_all).find("\x1b[33mwarning: \x1b[0ma warning\n") != std::string::npos);
  CHECK(on_terminal(never, say_all) ==
        "a note\nwarning: a warning\nerror: an error\nhint: a hint\n");
}

TEST_CASE("terminal: without a terminal, progress is one line at the end, not one for each call") {
  const auto act = [](Terminal& terminal) {
    for (std::uint64_t bytes = 0; bytes <= 1 << 20; bytes += 1024) {
      terminal.progress({"pg: dump", bytes, 1 << 20});
    }
    terminal.progress_end();
    terminal.progress_end();  // a second end has nothing to say
  };
  const std::string out = plain({}, act);
  CHECK(glob_match("pg: dump  1.0 MiB  */s  *s\n", out));
  CHECK(plain(quiet, act) == "");
}

TEST_CASE("terminal: a live line is replaced in place, never wider than the screen") {
  const std::string label(200, 'l');
  const auto act = [&](Terminal& terminal) {
    show(terminal, {label, 5 << 20, 10 << 20});
    terminal.warning("in between");
    terminal.progress_end();
  };
  const std::string out = on_terminal(never, act);
  CHECK(out.find("\r\x1b[2K" + std::string(79, 'l')) == 0);
  CHECK(out.find(std::string(80, 'l')) > out.find("warning: "));
  // The live line is cleared before the warning.
  CHECK(out.find("\r\x1b[2Kwarning: in between\n") != std::string::npos);
  CHECK(on_terminal(quiet, act).find('l') == std::string::npos);
}

TEST_CASE("terminal: the percentage stays below 100 until the end") {
  const auto shown = [](std::uint64_t bytes, std::optional<std::uint64_t> expected) {
    return on_terminal(never, [&](Terminal& terminal) { show(terminal, {"x", bytes, expected}); });
  };
  CHECK(shown(50, 100).ends_with("  50%"));
  CHECK(shown(500, 100).ends_with("  99%"));
  CHECK_FALSE(shown(50, std::nullopt).ends_with("%"));
  CHECK_FALSE(shown(50, 0).ends_with("%"));
}

TEST_CASE("terminal: progress does not wait for a reader, and a stop request ends other waits") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd reader(ends[0]), writer(ends[1]);
  REQUIRE(::fcntl(writer.get(), F_SETFL, O_NONBLOCK) == 0);
  const std::string filler(4096, 'f');
  while (::write(writer.get(), filler.data(), filler.size()) > 0) {
  }
  REQUIRE(::fcntl(writer.get(), F_SETFL, 0) == 0);
  const int before = [&] {
    int bytes = 0;
    REQUIRE(::ioctl(reader.get(), FIONREAD, &bytes) == 0);
    return bytes;
  }();
  Stop stop;
  Terminal terminal(writer.get(), {.color = Color::never}, &stop);
  terminal.progress({"x", 1, 2});
  terminal.progress_end();
  SUBCASE("a signal") {
    stop.request(SIGTERM);
  }
  SUBCASE("a time limit") {
    stop.set_time_limit(std::chrono::seconds(0));
  }
  terminal.note("a note");
  terminal.warning("a warning");
  int bytes = 0;
  REQUIRE(::ioctl(reader.get(), FIONREAD, &bytes) == 0);
  CHECK(bytes == before);
}

TEST_CASE("terminal: what cannot be written is dropped without an error") {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const Fd closed(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // as occupy_standard_streams() does
  for (const Fd* fd : {&full, &closed}) {
    REQUIRE(*fd);
    Terminal terminal(fd->get(), {}, nullptr);
    CHECK_NOTHROW(say_all(terminal));
    show(terminal, {"x", 1, 2});
    CHECK_NOTHROW(terminal.progress_end());
  }
}
