// A proxy between the program and the engine. It passes everything on, but can replace one run of
// bytes in the engine's answers, or stall at one in the program's requests, which no real engine
// does on demand.
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
  explicit Relay(const E2eFixture& fixture);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // From now on, in the engine's answers; both are of the same length.
  void replace_in_answers(const std::string& original, const std::string& replacement);
  // Once the program has sent this, the engine receives nothing more, and may answer to the end.
  void cut_after(const std::string& said);
  // What the program sends from this on reaches the engine this much later, even if the program has
  // ended by then.
  void slow_down(const std::string& request, std::chrono::milliseconds by);
  // How many times that was done.
  int late() const { return late_; }
  // A connection on which the program sends this from now on stalls there; empty: none does.
  void hold_at(const std::string& request);
  bool holds() const { return holding_ > 0; }
  // What stalls now goes on, and nothing stalls any more.
  void release();
  // The same, but the engine's answer to it stalls.
  void release_and_hold_answer();
  bool holds_answer() const { return held_answers_ > 0; }

  const std::string& socket() const { return path_; }
  // The program under test, with the relay for an engine.
  Strings command(const Strings& arguments) const;

 private:
  void accept_all();
  void pass(const Fd& client);

  const E2eFixture& fixture_;
  std::string path_;
  Fd listener_, quit_, released_;
  std::mutex mutex_;
  std::string original_, replacement_, hold_at_, cut_after_, slow_at_;
  std::chrono::milliseconds slower_by_{};
  std::atomic<int> holding_{0}, late_{0}, held_answers_{0};
  std::atomic<bool> hold_answer_{false};
  std::list<Fd> clients_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace e2e
