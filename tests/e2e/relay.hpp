// Stands between the program and the engine: passes everything on, changes one run of bytes in what
// the engine says, or stops at one in what the program asks. What no real engine does on demand.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "e2e/support.hpp"

namespace e2e {

class Relay {
 public:
  explicit Relay(const E2eFixture& scene);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // In the engine's answers; both are of the same length.
  void lie(const std::string& truth, const std::string& instead);
  // Where the program says this the engine hears nothing more from it, and may answer to the end.
  void cut_after(const std::string& said);
  // What the program says from here on reaches the engine this much later, program or no program.
  void slow_down(const std::string& request, std::chrono::milliseconds by);
  // How many times it has.
  int late() const { return late_; }
  // A connection on which the program says this from now on is held there; empty: none is.
  void hold_at(const std::string& request);
  bool holds() const { return holding_ > 0; }

  const std::string& socket() const { return path_; }
  // The program under test, with the relay for an engine.
  Strings command(const Strings& arguments) const;

 private:
  void accept_all();
  void pass(const Fd& client);

  const E2eFixture& scene_;
  std::string path_;
  Fd listener_, quit_;
  std::mutex mutex_;
  std::string truth_, instead_, hold_at_, cut_after_, slow_at_;
  std::chrono::milliseconds slower_by_{};
  std::atomic<int> holding_{0}, late_{0};
  std::list<Fd> clients_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace e2e
