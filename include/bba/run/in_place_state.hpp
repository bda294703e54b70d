// What is known of the newest restore in place of a module, in a file of the state directory: from
// before its first change, so that a run that was killed meanwhile is known, and after it, so that
// it can be undone.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/base/time.hpp"

namespace bba::run {

struct InPlaceState {
  std::string module;
  std::string container;   // the service's name
  std::string set;         // the manifest's file of what was put in
  std::string safety_set;  // the same of the set that has the state before, in the backup directory
  Timestamp time{};
  // Whether the service takes a set as a whole or not at all, so that nothing between is possible.
  bool whole = false;
  // It was begun, and not ended. A run that does it holds the module's lock meanwhile.
  bool unfinished = false;
};

// Replaces what is there of the module. On disk when it returns. Throws Error{storage}.
void write_in_place_state(const std::string& state_directory, const InPlaceState& state);

// nullopt where there is none. A file that cannot be read is an Error{storage}.
std::optional<InPlaceState> in_place_state(const std::string& state_directory,
                                           const std::string& module);
// Of all modules, by their names.
std::vector<InPlaceState> in_place_states(const std::string& state_directory);

// One that is unfinished, for people: that it was broken off, and what has the state before.
std::string broken_off(const InPlaceState& state);
// The same of one that is `whole`: it is not unfinished any more, as nothing between is possible.
std::string settle_whole(const std::string& state_directory, InPlaceState state);

// After that the restore cannot be undone. One that is gone is no error.
void remove_in_place_state(const std::string& state_directory, const std::string& module);

}  // namespace bba::run
