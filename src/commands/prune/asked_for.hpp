// Whether a prune was asked to look at a module.
#pragma once

#include "bba/commands/prune/prune.hpp"

namespace bba::commands {

inline bool is_asked_for(const PruneRequest& request, const std::string& module) {
  return request.module.empty() || module == request.module;
}

}  // namespace bba::commands
