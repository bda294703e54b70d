// What the run owes the world: a container that it paused, an exec that it started, a scratch
// container. Each debt is in the journal before it is made, and a guard process pays what is left
// of them should this process die, SIGKILL included.
#pragma once

#include <string>
#include <vector>

#include "bba/docker/engine.hpp"
#include "bba/store/journal.hpp"

namespace bba::ops {

// Pays one debt: unpauses, starts, ends the exec, removes. A container that is gone owes nothing.
// Throws where it cannot be paid now.
void pay(docker::Engine& engine, const store::JournalEntry& entry);

class Debts {
 public:
  Debts(const std::string& state_directory, const std::string& host);
  Debts(const Debts&) = delete;
  Debts& operator=(const Debts&) = delete;

  // Before the deed. The first one starts the guard.
  void owe(const store::JournalEntry& entry);
  // After it was undone.
  void settle(const store::JournalEntry& entry);
  bool owes(const store::JournalEntry& entry) const;

 private:
  std::string state_directory_;
  std::string host_;
  store::Journal journal_;
  bool guarded_ = false;
};

struct Recovered {
  std::vector<std::string> done;    // "unpaused kuma"
  std::vector<std::string> failed;  // "kuma could not be unpaused: ..."
};
// Pays what dead runs left behind.
Recovered recover(docker::Engine& engine, const std::string& state_directory);

}  // namespace bba::ops
