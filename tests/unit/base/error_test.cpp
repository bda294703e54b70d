#include "bba/base/error.hpp"

#include <cerrno>
#include <string>

#include <doctest/doctest.h>

using namespace bba;

TEST_CASE("an error reads from the outermost context to the cause, on one line") {
  Error error(ErrorKind::capture, "cut in the\nmiddle", "try again");
  CHECK(std::string(error.what()) == "cut in the\\nmiddle");
  error.in("reading \x1b[31mthe stream").in("backing up postgres");
  CHECK(std::string(error.what()) ==
        "backing up postgres: reading \\x1b[31mthe stream: cut in the\\nmiddle");
  CHECK(error.kind() == ErrorKind::capture);
  CHECK(error.hint() == "try again");
}

TEST_CASE("kind and hint can be set later") {
  Error error(ErrorKind::internal, "x");
  CHECK(error.hint().empty());
  error.with_kind(ErrorKind::gate).with_hint("take a backup");
  CHECK(error.kind() == ErrorKind::gate);
  CHECK(error.hint() == "take a backup");
  CHECK(std::string(error.what()) == "x");
}

TEST_CASE("a context is added to an error on its way out, and the object stays the same") {
  struct Special : Error {
    Special() : Error(ErrorKind::engine, "refused") {}
  };
  try {
    with_context("outer", [] { with_context("inner", [] { throw Special(); }); });
    FAIL("nothing was thrown");
  } catch (const Special& error) {
    CHECK(std::string(error.what()) == "outer: inner: refused");
  }
}

TEST_CASE("with_context passes results and foreign exceptions through") {
  CHECK(with_context("x", [] { return 7; }) == 7);
  int value = 1;
  with_context("x", [&]() -> int& { return value; }) = 2;
  CHECK(value == 2);
  CHECK_THROWS_AS(with_context("x", [] { throw 7; }), int);
}

TEST_CASE(
    "a failed system call's error says what failed, why, and what to do where that is known") {
  const Error full = system_error(ErrorKind::storage, "writing to /backups", ENOSPC);
  CHECK(std::string(full.what()) == "writing to /backups: No space left on device");
  CHECK(full.kind() == ErrorKind::storage);
  for (const int number : {ENOSPC, EDQUOT, EACCES, EPERM, EFBIG, EROFS}) {
    CAPTURE(number);
    CHECK_FALSE(system_error(ErrorKind::storage, "x", number).hint().empty());
  }
  CHECK(system_error(ErrorKind::storage, "x", EIO).hint().empty());
}
