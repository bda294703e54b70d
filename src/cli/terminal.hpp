// What the operator sees on standard error: a live line on a terminal, a plain line now and then
// elsewhere. What cannot be written is lost; it never ends the run.
#pragma once

#include <chrono>
#include <string>

#include "bba/run/session.hpp"

namespace bba::cli {

enum class Color { automatic, always, never };

class Terminal : public Reporter {
 public:
  struct Style {
    bool quiet = false;
    bool verbose = false;
    Color color = Color::automatic;
  };
  // `stop` (may be null) ends the wait for a reader that takes nothing.
  Terminal(int fd, Style style, const Stop* stop);

  // Shown only where that needs no wait: containers may be paused meanwhile.
  void progress(const Progress& progress) override;
  void progress_end() override;
  void note(const std::string& text) override;
  void detail(const std::string& text) override;
  void warning(const std::string& text) override;
  void error(const Error& error);

 private:
  using Clock = std::chrono::steady_clock;
  void line(const char* color, const std::string& head, const std::string& text);
  std::string clear_live();

  int fd_;
  Style style_;
  const Stop* stop_;
  bool terminal_;
  bool colored_;
  bool live_ = false;  // a live line is on the screen
  std::string label_;  // of the progress being shown
  std::uint64_t bytes_ = 0;
  Clock::time_point started_{};
  Clock::time_point shown_{};
};

}  // namespace bba::cli
