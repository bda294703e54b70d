// One spelling for each absolute path, and which lies within which.
#include "bba/base/path.hpp"

#include <doctest/doctest.h>

using namespace bba;

TEST_CASE("path: each absolute path has one spelling") {
  CHECK(normal_path("/data") == "/data");
  CHECK(normal_path("/data/") == "/data");
  CHECK(normal_path("//a///b c//") == "/a/b c");
  CHECK(normal_path("/./a/./b/.") == "/a/b");
  CHECK(normal_path("/") == "/");
  CHECK(normal_path("///") == "/");
  CHECK(normal_path("/a/..b/...") == "/a/..b/...");
  CHECK_FALSE(normal_path("").has_value());
  CHECK_FALSE(normal_path("data").has_value());
  CHECK_FALSE(normal_path("./data").has_value());
  CHECK_FALSE(normal_path("/a/../b").has_value());
  CHECK_FALSE(normal_path("/a/..").has_value());
}

TEST_CASE("path: whether one path is the other or inside it") {
  CHECK(lies_within("/a", "/a"));
  CHECK(lies_within("/a/b", "/a"));
  CHECK(lies_within("/a", "/"));
  CHECK(lies_within("/", "/"));
  CHECK_FALSE(lies_within("/ab", "/a"));
  CHECK_FALSE(lies_within("/a", "/a/b"));
  CHECK_FALSE(lies_within("", "/"));
}

TEST_CASE("path: its last component") {
  CHECK(base_name("/a/b c") == "b c");
  CHECK(base_name("/a/b//") == "b");
  CHECK(base_name("a") == "a");
  CHECK(base_name("/") == "");
}

TEST_CASE("path: the parent directory") {
  CHECK(parent_of("/a/b/c") == "/a/b");
  CHECK(parent_of("/a b/c") == "/a b");
  CHECK(parent_of("/a") == "/");
  CHECK(parent_of("/") == "/");
  CHECK(parent_of("a") == "/");
}
