// How the commands begin that a refusal tells to run.
#pragma once

namespace bba::commands {

inline constexpr const char* program = "backup-before-apply ";

}  // namespace bba::commands
