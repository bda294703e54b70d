// The start of every command that a refusal suggests.
#pragma once

namespace bba::commands {

inline constexpr const char* program = "backup-before-apply ";

}  // namespace bba::commands
