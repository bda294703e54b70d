#include "bba/base/json.hpp"

#include <limits>
#include <string>

#include <doctest/doctest.h>

using namespace bba;

TEST_CASE("only one whole JSON value is accepted") {
  CHECK(parse_json(R"({"a": [1, 2.5, null, true, "x"]})").has_value());
  CHECK(parse_json(" 7 ") == Json(7));
  for (const std::string text : {"", " ", "{", "{}{}", "{} x", "[1,]", "{'a':1}", "nul", "\"\xff\"",
                                 "\"\n\"", "1e999", "{\"a\":1,}", "[1] // comment"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text).has_value());
  }
}

TEST_CASE("nesting is bounded, and brackets in strings do not count") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_json(nested(64)).has_value());
  CHECK_FALSE(parse_json(nested(65)).has_value());
  CHECK_FALSE(parse_json(std::string(8'000'000, '[')).has_value());
  CHECK_FALSE(parse_json(std::string(8'000'000, '{')).has_value());
  CHECK(parse_json("\"" + std::string(100, '[') + "\"").has_value());
  CHECK(parse_json("\"\\\"" + std::string(100, '[') + "\"").has_value());
  CHECK_FALSE(parse_json("[\"\\\\\"," + nested(64) + "]").has_value());
}

TEST_CASE("objects keep their order") {
  CHECK(dump_json(parse_json(R"({"z":1,"a":2,"m":3})").value()) == R"({"z":1,"a":2,"m":3})");
}

TEST_CASE("a member of another type counts as missing") {
  const Json object = parse_json(
                          R"({"text":"x","int":-7,"size":7,"real":1.5,"flag":true,"null":null,
                              "max":18446744073709551615,"huge":18446744073709551616,
                              "int_max":9223372036854775807,"object":{}})")
                          .value();
  CHECK(string_member(object, "text") == "x");
  CHECK(int_member(object, "int") == -7);
  CHECK(int_member(object, "size") == 7);
  CHECK(int_member(object, "int_max") == std::numeric_limits<std::int64_t>::max());
  CHECK(size_member(object, "size") == 7u);
  CHECK(size_member(object, "max") == std::numeric_limits<std::uint64_t>::max());
  CHECK(bool_member(object, "flag") == true);
  REQUIRE(member(object, "object") != nullptr);
  CHECK(member(object, "object")->is_object());

  CHECK(member(object, "null") == nullptr);
  CHECK(member(object, "missing") == nullptr);
  for (const std::string key : {"int", "flag", "null", "missing", "object"}) {
    CHECK_FALSE(string_member(object, key).has_value());
  }
  for (const std::string key : {"text", "real", "flag", "null", "missing", "max", "huge"}) {
    CAPTURE(key);
    CHECK_FALSE(int_member(object, key).has_value());
  }
  for (const std::string key : {"text", "real", "flag", "null", "missing", "int", "huge"}) {
    CAPTURE(key);
    CHECK_FALSE(size_member(object, key).has_value());
  }
  for (const std::string key : {"text", "int", "null", "missing"}) {
    CHECK_FALSE(bool_member(object, key).has_value());
  }
}

TEST_CASE("members can be looked up in any JSON value") {
  for (const Json& value : {Json(), Json(7), Json("x"), Json::array({1, 2}), Json(true)}) {
    CHECK(member(value, "a") == nullptr);
    CHECK_FALSE(string_member(value, "a").has_value());
    CHECK_FALSE(int_member(value, "a").has_value());
  }
}

TEST_CASE("bytes that are not UTF-8 are replaced, and nothing is thrown") {
  const Json value{{"name", "a\xff"}};
  CHECK(dump_json(value) == "{\"name\":\"a\xef\xbf\xbd\"}");
  CHECK(pretty_json(value) == "{\n  \"name\": \"a\xef\xbf\xbd\"\n}\n");
}
