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
  explicit Relay(const Scene& scene);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // In the engine's answers; both are of the same length.
  void lie(const std::string& truth, const std::string& instead);
  // A connection on which the program says this from now on is held there; empty: none is.
  void hold_at(const std::string& request);
  bool holds() const { return holding_ > 0; }

  // The program under test, with the relay for an engine.
  Strings command(const Strings& arguments) const;

 private:
  void accept_all();
  void pass(const Fd& client);

  const Scene& scene_;
  std::string path_;
  Fd listener_, quit_;
  std::mutex mutex_;
  std::string truth_, instead_, hold_at_;
  std::atomic<int> holding_{0};
  std::list<Fd> clients_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace e2e
