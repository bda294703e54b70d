// The one place where errors become exit codes (the table in README.md).
#pragma once

#include "bba/base/error.hpp"

namespace bba::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_needs_hand = 11;  // the backup is good, but something needs a hand

int exit_code(ErrorKind kind);

}  // namespace bba::cli
