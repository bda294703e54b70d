#include "bba/base/module_id.hpp"

#include <string>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using bba::valid_module_id;

TEST_CASE("module ids that are safe in a file name are accepted") {
  for (const char* id : {"postgres", "n8n-worker", "a", "7zip", "git.mirror", "audio_mcp"}) {
    CAPTURE(id);
    CHECK(valid_module_id(id));
  }
  CHECK(valid_module_id(std::string(100, 'a')));
}

TEST_CASE("anything that could leave its directory, or be hidden in it, is not a module id") {
  for (const char* id : {"", ".", "..", ".hidden", "-rf", "a/b", "/etc", "../x", "a..b", "a\\b",
                         "A", "a b", "a\n", "caf\xC3\xA9", "a*", "_x"}) {
    CAPTURE(id);
    CHECK_FALSE(valid_module_id(id));
  }
  CHECK_FALSE(valid_module_id(std::string(101, 'a')));
  CHECK_FALSE(valid_module_id(std::string_view("a\0b", 3)));
}

TEST_CASE("what is no module id is refused with the rule") {
  bba::require_module_id("postgres");
  try {
    bba::require_module_id("a b");
    FAIL("it was let through");
  } catch (const bba::Error& error) {
    CHECK(error.kind() == bba::ErrorKind::config);
    CHECK(error.what() == std::string("\"a b\" is not a module id"));
    CHECK(error.hint() == bba::module_id_rule);
  }
}
