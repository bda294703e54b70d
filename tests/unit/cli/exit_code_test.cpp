// The exit codes are a promise: scripts read them.
#include "cli/exit_code.hpp"

#include <map>

#include <doctest/doctest.h>

using namespace bba;

TEST_CASE("exit codes: each kind of error has its own, as documented") {
  const std::map<ErrorKind, int> promised{
      {ErrorKind::internal, 1},     {ErrorKind::usage, 2},       {ErrorKind::config, 3},
      {ErrorKind::container, 4},    {ErrorKind::engine, 5},      {ErrorKind::capture, 6},
      {ErrorKind::artifact, 7},     {ErrorKind::storage, 8},     {ErrorKind::busy, 9},
      {ErrorKind::gate, 10},        {ErrorKind::timeout, 124},   {ErrorKind::interrupted, 130},
      {ErrorKind::terminated, 143}, {ErrorKind::unfinished, 12},
  };
  for (const auto& [kind, code] : promised) CHECK(cli::exit_code(kind) == code);
  CHECK(cli::exit_done == 0);
  CHECK(cli::exit_needs_hand == 11);
  // An error is never success, whatever it is.
  CHECK(cli::exit_code(static_cast<ErrorKind>(999)) == 1);
}
