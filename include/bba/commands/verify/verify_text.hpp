// The text of `verify`, and its JSON.
#pragma once

#include <string>

#include "bba/base/json.hpp"
#include "bba/commands/verify/verdict.hpp"

namespace bba::commands {

// What to do where something is broken: which set not to rely on, and what is left to rely on.
std::string advice(const Verification& verification);

// For people, one line per artifact, and as JSON, one object per set.
std::string verification_text(const Verification& verification);
Json verification_json(const Verification& verification);

}  // namespace bba::commands
