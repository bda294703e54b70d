#include "store/json_fields.hpp"

#include <functional>

#include <doctest/doctest.h>

namespace bba::store {

namespace {

const Json sample =
    *parse_json(R"({"name": "a", "none": null, "count": 3, "below": -1, "share": 0.5,
    "at": "2026-11-23T08:42:32Z", "texts": ["a", "b"], "sizes": [1, 2], "mixed": [1, "b"],
    "inner": {"deep": {"flag": true}}})");

std::string fault_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::artifact);
    return error.what();
  }
  return {};
}

std::string fault(const std::function<void(const Fields&)>& read) {
  return fault_of([&] { read(Fields(sample)); });
}

}  // namespace

TEST_CASE("fields of the type that is wanted") {
  const Fields fields(sample);
  CHECK(fields.text("name") == "a");
  CHECK(fields.one_of("name", {"b", "a"}) == "a");
  CHECK(fields.text_or_null("none") == std::nullopt);
  CHECK(fields.text_or_null("name") == "a");
  CHECK(fields.size("count") == 3);
  CHECK(fields.seconds("share") == 0.5);
  CHECK(format_rfc3339(fields.time("at")) == "2026-11-23T08:42:32Z");
  CHECK(fields.texts("texts") == std::vector<std::string>{"a", "b"});
  CHECK(fields.texts_if_any("texts").size() == 2);
  CHECK(fields.texts_if_any("not there").empty());
  CHECK(fields.sizes("sizes") == std::vector<std::uint64_t>{1, 2});
  CHECK(fields.inside("inner").object("deep").at("flag") == true);
}

TEST_CASE("a field of another type is named, with the way to it") {
  CHECK(fault([](const Fields& f) { f.text("not there"); }) == "missing field \"not there\"");
  CHECK(fault([](const Fields& f) { f.text("none"); }) ==
        "field \"none\" must be a string not null");
  CHECK(fault([](const Fields& f) { f.text_or_null("count"); }) ==
        "field \"count\" must be a string or null not number");
  CHECK(fault([](const Fields& f) {
          f.one_of("name", {"b", "c"});
        }) == "field \"name\" must be one of b, c, not \"a\"");
  CHECK(fault([](const Fields& f) { f.size("below"); }) ==
        "field \"below\" must be a whole number, not negative, not number");
  CHECK(fault([](const Fields& f) { f.seconds("below"); }) ==
        "field \"below\" must be a number, not negative, not number");
  CHECK(fault([](const Fields& f) { f.time("name"); }) ==
        "field \"name\" must be a time like 2026-11-23T08:42:32Z");
  CHECK(fault([](const Fields& f) { f.texts("name"); }) ==
        "field \"name\" must be an array not string");
  CHECK(fault([](const Fields& f) { f.texts("mixed"); }) ==
        "field \"mixed[0]\" must be a string not number");
  CHECK(fault([](const Fields& f) { f.sizes("mixed"); }) ==
        "field \"mixed[1]\" must be a whole number, not negative, not string");
  CHECK(fault([](const Fields& f) { f.inside("inner").size("deep"); }) ==
        "field \"inner.deep\" must be a whole number, not negative, not object");
  CHECK(fault([](const Fields& f) { f.object("name"); }) ==
        "field \"name\" must be an object not string");
}

TEST_CASE("a text that is one JSON object") {
  CHECK(parse_object(R"({"a": 1})").at("a") == 1);
  CHECK(fault_of([] { parse_object("{"); }) == "not JSON");
  CHECK(fault_of([] { parse_object("[]"); }) == "not a JSON object");
}

}  // namespace bba::store
