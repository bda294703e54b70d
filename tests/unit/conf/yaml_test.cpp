#include "../../../src/conf/yaml.hpp"

#include <chrono>
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "files.hpp"

using bba::Error;
using bba::conf::yaml::Document;
using bba::conf::yaml::Kind;
using bba::conf::yaml::Node;

namespace {

Document parse(std::string_view text) {
  return Document(text, "f.yaml");
}

std::string error_of(std::string_view text) {
  return test::config_error([&] { parse(text); });
}

std::string repeated(std::string_view piece, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += piece;
  return text;
}

// "a=1 b=[x y]": small enough to compare whole.
std::string shown(const Node& node) {
  std::string out;
  switch (node.kind()) {
    case Kind::sequence:
      for (const Node& item : node.items()) out += (out.empty() ? "" : " ") + shown(item);
      return "[" + out + "]";
    case Kind::mapping:
      for (const auto& [key, value] : node.entries()) {
        out += (out.empty() ? "" : " ") + key.raw() + "=" + shown(value);
      }
      return "{" + out + "}";
    default:
      return node.raw();
  }
}

std::string shown(std::string_view text) {
  const Document document = parse(text);
  return shown(document.root());
}

}  // namespace

TEST_CASE("yaml: scalars have the types of the core schema") {
  const struct {
    std::string text;
    Kind kind;
  } rows[] = {
      {"word", Kind::text},      {"'1'", Kind::text},        {"\"true\"", Kind::text},
      {"!!str 1", Kind::text},   {"yes", Kind::text},        {"off", Kind::text},
      {"1.2.3", Kind::text},     {"2026-11-23", Kind::text}, {"60s", Kind::text},
      {"0x", Kind::text},        {"+-1", Kind::text},        {"-", Kind::sequence},
      {"e5", Kind::text},        {".inf", Kind::text},       {"nan", Kind::text},
      {"''", Kind::text},        {"1", Kind::number},        {"-17", Kind::number},
      {"+3", Kind::number},      {"0x1F", Kind::number},     {"0o17", Kind::number},
      {"0.8", Kind::number},     {"1e3", Kind::number},      {".5", Kind::number},
      {"1e999", Kind::number},   {"true", Kind::boolean},    {"False", Kind::boolean},
      {"~", Kind::null},         {"null", Kind::null},       {"", Kind::null},
      {"# nothing", Kind::null}, {"---", Kind::null},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(parse(row.text).root().kind() == row.kind);
  }
}

TEST_CASE("yaml: a value of another type is an error that names its place and what was found") {
  const Document document = parse("a: 1\nb:\n  - x\n  - true\nc: {d: e}\n");
  const Node root = document.root();
  const auto error = [](const std::function<void()>& action) { return test::config_error(action); };
  CHECK(error([&] { root.find("a")->text(); }) == "f.yaml:1:4: expected text, found a number");
  CHECK(error([&] { root.find("b")->texts(); }) == "f.yaml:4:5: expected text, found a boolean");
  CHECK(error([&] { root.find("b")->entries(); }) ==
        "f.yaml:3:3: expected a mapping, found a list");
  CHECK(error([&] { root.find("b")->find("x"); }) ==
        "f.yaml:3:3: expected a mapping, found a list");
  CHECK(error([&] { root.find("c")->items(); }) == "f.yaml:5:4: expected a list, found a mapping");
  CHECK(error([&] { root.find("c")->number(); }) ==
        "f.yaml:5:4: expected a number, found a mapping");
  CHECK(error([&] { root.find("a")->boolean(); }) ==
        "f.yaml:1:4: expected a boolean, found a number");
  CHECK(root.find("b")->items()[1].boolean());
  CHECK(root.find("a")->number() == 1);
  CHECK(root.find("a")->place() == "f.yaml:1:4");
  try {
    root.find("a")->text();
    FAIL("no error");
  } catch (const Error& caught) {
    CHECK(caught.hint() == "put it in quotes: \"1\"");
  }
}

TEST_CASE("yaml: numbers that no double holds are errors when they are read") {
  for (const char* text : {"1e999", "0x10", "0o7"}) {
    CAPTURE(text);
    const Document document = parse(text);
    CHECK(test::config_error([&] { document.root().number(); }) ==
          "f.yaml:1:1: expected a decimal number in range");
  }
}

TEST_CASE("yaml: a null value counts as a missing key") {
  const Document document = parse("a:\nb: ~\nc: x\n");
  CHECK_FALSE(document.root().find("a"));
  CHECK_FALSE(document.root().find("b"));
  CHECK_FALSE(document.root().find("d"));
  CHECK(document.root().find("c")->text() == "x");
}

TEST_CASE("yaml: aliases and merge keys") {
  CHECK(shown("a: &x [1, 2]\nb: *x") == "{a=[1 2] b=[1 2]}");
  CHECK(shown("- &x {a: 1}\n- <<: *x\n  b: 2") == "[{a=1} {b=2 a=1}]");
  // A map's own keys win, wherever `<<` is.
  CHECK(shown("- &x {a: 1, c: 3}\n- a: 9\n  <<: *x") == "[{a=1 c=3} {a=9 c=3}]");
  CHECK(shown("- &x {a: 1}\n- <<: *x\n  a: 9") == "[{a=1} {a=9}]");
  // Of a list, the first wins.
  CHECK(shown("- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*x, *y]") == "[{a=1} {a=2 b=2} {a=1 b=2}]");
  CHECK(shown("- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*y, *x]") == "[{a=1} {a=2 b=2} {a=2 b=2}]");
  // A merged map may itself contain merges, and may be written inline.
  CHECK(shown("- &x {a: 1}\n- &y {<<: *x, b: 2}\n- <<: *y\n  c: 3") ==
        "[{a=1} {b=2 a=1} {c=3 b=2 a=1}]");
  CHECK(shown("<<: {a: 1}\nb: 2") == "{b=2 a=1}");
  // Only the plain word in a key's place merges.
  CHECK(shown("\"<<\": x") == "{<<=x}");
  CHECK(shown("a: <<") == "{a=<<}");
  CHECK(shown("[<<]") == "[<<]");
  // An anchor may be given again: the nearest one before counts.
  CHECK(shown("[&a 1, *a, &a 2, *a]") == "[1 1 2 2]");
}

TEST_CASE("yaml: broken input is one clear error with its place") {
  CHECK(error_of("a: 1\nb: 2\na: 3") == "f.yaml:3:1: the key \"a\" appears twice in one mapping");
  CHECK(error_of("{a: 1, 'a': 2}") == "f.yaml:1:8: the key \"a\" appears twice in one mapping");
  CHECK(error_of("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x") ==
        "f.yaml:4:3: the key \"<<\" appears twice in one mapping");
  CHECK(error_of("<<: 1") == "f.yaml:1:5: \"<<\" merges mappings, this is a number");
  CHECK(error_of("<<: [{a: 1}, b]") == "f.yaml:1:14: \"<<\" merges mappings, this is text");
  CHECK(error_of("? [a]\n: b") == "f.yaml:1:3: a key must be a single word or text, not a list");
  CHECK(error_of("~: b") == "f.yaml:1:1: a key must be a single word or text, not nothing");
  CHECK(error_of("a: 1\n---\nb: 2") == "f.yaml:2:1: a second document begins; only one is read");
  CHECK(error_of("a: *nobody").starts_with("f.yaml:1:4: "));
  CHECK(error_of("a: [1, 2").starts_with("f.yaml:1:"));
  CHECK(error_of("a: 'x").starts_with("f.yaml:1:"));
  CHECK(error_of("a:\n\t- b").starts_with("f.yaml:2:"));
  CHECK(error_of("a: b: c").starts_with("f.yaml:1:"));
  CHECK(error_of("%YAML 9.9\n---\na").starts_with("f.yaml:"));
}

TEST_CASE("yaml: bytes that are not text are refused with their place") {
  CHECK(error_of("a: b\nc: \xFF\xFE") == "f.yaml:2:4: not UTF-8");
  CHECK(error_of(std::string_view("a\0b", 3)) ==
        "f.yaml:1:2: the control character 0x00 is not YAML");
  CHECK(error_of("a: \x04 b") == "f.yaml:1:4: the control character 0x04 is not YAML");
  CHECK(error_of("\x7f"
                 "ELF") == "f.yaml:1:1: the control character 0x7f is not YAML");
  CHECK(error_of("\xFF\xFE"
                 "a") == "f.yaml:1:1: not UTF-8");                // UTF-16
  CHECK(error_of("a: \xED\xA0\x80") == "f.yaml:1:4: not UTF-8");  // a surrogate
  CHECK(shown("\xEF\xBB\xBF"
              "a: \xC3\xA4") == "{a=\xC3\xA4}");  // a byte order mark is allowed
}

TEST_CASE("yaml: an anchor that contains itself is an error") {
  CHECK(error_of("a: &a [*a]") == "f.yaml:1:8: this alias is inside the value that it names");
  CHECK(error_of("a: &a {b: {c: *a}}") ==
        "f.yaml:1:15: this alias is inside the value that it names");
  CHECK(error_of("&a {<<: *a}") == "f.yaml:1:9: this alias is inside the value that it names");
  CHECK(error_of("[&a 1, &a [*a]]") == "f.yaml:1:12: this alias is inside the value that it names");
}

TEST_CASE("yaml: an alias bomb is refused at the alias that passes the limit") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  CHECK(error_of(laughs) == "f.yaml:6:10: more than 200000 values, aliases written out");

  std::string merges = "a0: &a0 {k0: 1, k1: 1, k2: 1}\n";
  for (int i = 1; i < 64; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    merges += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " {<<: [" + before + ", " +
              before + "], n" + std::to_string(i) + ": 1}\n";
  }
  CHECK(error_of(merges).find("more than 200000 values") != std::string::npos);

  const std::string heavy = "- &t " + std::string(100'000, 'x') + "\n" + repeated("- *t\n", 2'000);
  CHECK(error_of(heavy) == "f.yaml:336:3: more than 32.0 MiB of text, aliases written out");
}

TEST_CASE("yaml: deep nesting is refused at a limit, however it is written") {
  const std::string inside = std::string(60, '[') + "x" + std::string(60, ']');
  CHECK(shown(inside) == inside);
  for (const char* piece : {"[", "{", "[{", "{a: ", "- ", "? ", ": ", "[\n", "{[", "- - ? "}) {
    CAPTURE(piece);
    CHECK_FALSE(error_of(repeated(piece, 2'000)).empty());
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(error_of(repeated(piece, 1'000'000)).empty());
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  }
  CHECK(error_of(std::string(70, '[') + std::string(70, ']')) ==
        "f.yaml:1:65: nested deeper than 64 levels");
}

TEST_CASE("yaml: a large file is an error that says which limit it exceeds") {
  const std::size_t most = bba::conf::yaml::max_file_bytes;
  CHECK(error_of(std::string(most + 1, ' ')) == "f.yaml: larger than 10.0 MiB");
  CHECK(error_of(repeated("- a\n", most - 4)) ==
        "f.yaml:200000:3: more than 200000 values, aliases written out");
  CHECK(error_of("a: " + std::string(most - 3, 'x')) ==
        "f.yaml:1:1: no value ends within 128.0 KiB before this line");
  CHECK(error_of(repeated("#\n", most)).find("no value ends within") != std::string::npos);
  CHECK(error_of(repeated("[", most)).find("no value ends within") != std::string::npos);
  CHECK(error_of("[" + repeated("a,", most - 2)).find("no value ends within") != std::string::npos);
  // A large file within the limits is read.
  CHECK(shown("a: " + std::string(100'000, 'x')).size() == 100'004);
}

TEST_CASE("yaml: files that cannot be read are errors") {
  const test::TempDir directory;
  const auto read = [&](const std::string& name) {
    return test::config_error(
        [&] { bba::conf::yaml::read_document(directory.path() + "/" + name); });
  };
  CHECK(read("absent.yaml").find("No such file") != std::string::npos);
  CHECK(read(".").find("Is a directory") != std::string::npos);
  directory.link("loop.yaml", "loop.yaml");
  CHECK(read("loop.yaml").find("Too many levels of symbolic links") != std::string::npos);
  directory.write("large.yaml", std::string(bba::conf::yaml::max_file_bytes + 1, ' '));
  CHECK(read("large.yaml").find("larger than 10.0 MiB") != std::string::npos);
}
