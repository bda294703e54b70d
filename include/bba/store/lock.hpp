// One run at a time for a module: flock(2) on <state-dir>/<module>.lock, gone with the process
// whatever kills it.
#pragma once

#include <string>

#include "bba/base/fd.hpp"

namespace bba::store {

class ModuleLock {
 public:
  // Throws Error{busy} with the holder's pid where another run has it, Error{storage} where the
  // state directory (made 0700) cannot be used.
  ModuleLock(const std::string& state_directory, const std::string& module);

 private:
  Fd fd_;
};

}  // namespace bba::store
