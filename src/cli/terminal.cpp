#include "terminal.hpp"

#include <algorithm>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"
#include "output.hpp"

namespace bba::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto live_every = 200ms;
constexpr auto plain_every = 10s;
constexpr const char* yellow = "\x1b[33m";
constexpr const char* red = "\x1b[31m";
constexpr const char* cyan = "\x1b[36m";
constexpr const char* dim = "\x1b[2m";
constexpr const char* reset = "\x1b[0m";

std::size_t columns(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string describe(const Progress& progress, std::chrono::duration<double> elapsed) {
  const double seconds = std::max(elapsed.count(), 0.001);
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(progress.bytes) / seconds);
  std::string text = fmt::format(
      "{}  {}  {}/s  {}", progress.label, format_bytes(progress.bytes), format_bytes(rate),
      format_duration(std::chrono::duration_cast<std::chrono::seconds>(elapsed)));
  if (progress.expected && *progress.expected > 0) {
    // The expected size is an estimate: 100% is never shown before the end.
    const double share =
        static_cast<double>(progress.bytes) / static_cast<double>(*progress.expected);
    text += fmt::format("  {:.0f}%", std::min(share, 0.99) * 100);
  }
  return text;
}

}  // namespace

Terminal::Terminal(int fd, Style style, const Stop* stop)
    : fd_(fd), style_(style), stop_(stop), terminal_(::isatty(fd) == 1) {
  colored_ = style.color == Color::always || (style.color == Color::automatic && terminal_);
}

std::string Terminal::clear_live() {
  return std::exchange(live_, false) ? "\r\x1b[2K" : "";
}

void Terminal::line(const char* color, const std::string& head, const std::string& text) {
  const std::string shown = printable(text);
  const std::string whole = colored_ ? fmt::format("{}{}{}{}\n", color, head, reset, shown)
                                     : fmt::format("{}{}\n", head, shown);
  write_text(fd_, clear_live() + whole, stop_);
}

void Terminal::progress(const Progress& progress) {
  if (style_.quiet) return;
  const auto time = Clock::now();
  if (progress.label != label_ || progress.bytes < bytes_) {
    label_ = progress.label;
    started_ = shown_ = time;
  }
  bytes_ = progress.bytes;
  if (time - shown_ < (terminal_ ? Clock::duration(live_every) : Clock::duration(plain_every))) {
    return;
  }
  shown_ = time;
  if (!takes_more(fd_)) return;
  const std::string text = printable(describe(progress, time - started_));
  if (terminal_) {
    write_text(fd_, "\r\x1b[2K" + text.substr(0, columns(fd_) - 1), stop_);
    live_ = true;
  } else {
    write_text(fd_, text + "\n", stop_);
  }
}

void Terminal::progress_end() {
  if (!style_.quiet && !label_.empty() && takes_more(fd_)) {
    line(dim, "", describe({label_, bytes_, std::nullopt}, Clock::now() - started_));
  }
  label_.clear();
  bytes_ = 0;
}

void Terminal::note(const std::string& text) {
  if (!style_.quiet) line(dim, "", text);
}

void Terminal::detail(const std::string& text) {
  if (style_.verbose) line(dim, "", text);
}

void Terminal::warning(const std::string& text) {
  line(yellow, "warning: ", text);
}

void Terminal::error(const Error& error) {
  line(red, "error: ", error.what());
  if (!error.hint().empty()) line(cyan, "hint: ", error.hint());
}

}  // namespace bba::cli
