#include "bba/store/manifest.hpp"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "unit/store/support.hpp"

using namespace bba;
using namespace bba::store;
using namespace test;
using namespace std::chrono_literals;

namespace {

constexpr Timestamp start =
    std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + 8h + 42min + 32s;

// Every field set, to something that shows when two are mixed up.
Manifest full_manifest() {
  Manifest m;
  m.tool_version = "0.1.0";
  m.module = "postgres";
  m.module_class = "A";
  m.rule = "name *postgres";
  m.strategy = "pg_dumpall";
  m.fallback = "no mc in the image";
  m.purpose = before_restore;
  m.started = start;
  m.finished = start + 75s;
  m.host = "docker-1";
  m.engine = {{"version", "20.10.24"}, {"api_version", "1.41"}};
  m.container = {
      "c0ffee",      "core-postgres-1",      "postgres:15",
      "sha256:1111", "postgres@sha256:2222", {{"project", "core"}, {"service", "postgres"}}};
  m.container.configuration = {"postgres-20261123T084232Z.container.json", 4711,
                               std::string(64, 'c')};
  m.consistency = {"pause", {{"one", "id-1", 1.25}, {"two", "id-2", 0}}};
  ArtifactRecord first;
  first.part = "var-lib-data";
  first.file = "postgres-20261123T084232Z.var-lib-data.tar.gz";
  first.kind = "tar";
  first.compression = "gzip";
  first.source = "/var/lib/data of kuma";
  first.bytes = 123456789012;
  first.sha256 = std::string(64, 'a');
  first.uncompressed_bytes = std::numeric_limits<std::uint64_t>::max();
  first.found = {{"entries", 17}, {"names", {"a\nb", "\xc3\xa9"}}};
  first.restore = {"gunzip -t X", "docker cp - Y:/ < X"};
  ArtifactRecord second = first;
  second.part = "";
  second.file = "postgres-20261123T084232Z.sql.zst";
  second.compression = "zstd";
  second.sha256 = std::string(64, '0');
  m.artifacts = {first, second};
  m.facts = {{"server_version", "15.20"}, {"databases", {{"app", 4711}}}};
  m.warnings = {"one", "two"};
  m.incomplete = {"bucket photos"};
  m.follow_ups = {"three"};
  m.members = {"minio-20261123T084232Z.manifest.json"};
  return m;
}

std::string error_of_reading(const std::string& text) {
  return error_of([&] { (void)manifest_from_json(text); });
}

// Every place in the document, as JSON pointers, deepest last; free-form objects are not entered.
void places(const Json& value, const std::string& at, std::vector<std::string>& out) {
  const bool free_form = at.ends_with("/found") || at.ends_with("/facts") ||
                         at.ends_with("/engine") || at.ends_with("/compose");
  if (!at.empty()) out.push_back(at);
  if (free_form) return;
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) places(member, at + '/' + key, out);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      places(value[i], at + '/' + std::to_string(i), out);
    }
  }
}

// "/artifacts/0/file" as messages write it: artifacts[0].file
std::string in_words(const std::string& pointer) {
  std::string out;
  for (const std::string_view step : split(std::string_view(pointer).substr(1), '/')) {
    if (step.find_first_not_of("0123456789") == step.npos) {
      out += fmt::format("[{}]", step);
    } else {
      if (!out.empty()) out += '.';
      out += step;
    }
  }
  return out;
}

std::string document() {
  return read_file(std::string(BBA_SOURCE_DIR) + "/docs/manifest.md");
}

std::string example_in_document() {
  const std::string text = document();
  const std::string fence = "```json\n";
  const std::size_t begin = text.find(fence) + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

}  // namespace

TEST_CASE("the files of a set are its artifacts and the container's configuration") {
  Manifest m = full_manifest();
  CHECK(set_files(m) == std::vector<std::string>{"postgres-20261123T084232Z.var-lib-data.tar.gz",
                                                 "postgres-20261123T084232Z.sql.zst",
                                                 "postgres-20261123T084232Z.container.json"});
  CHECK(configuration_name("postgres", start) == "postgres-20261123T084232Z.container.json");
  m.container.configuration.reset();
  CHECK(set_files(m).size() == 2);
  CHECK_FALSE(manifest_from_json(pretty_json(to_json(m))).container.configuration);
}

TEST_CASE("every field is read back as it was written") {
  const Manifest m = full_manifest();
  const std::string text = pretty_json(to_json(m));
  const Manifest back = manifest_from_json(text);
  CHECK(back.schema == manifest_schema);
  CHECK(back.tool_version == m.tool_version);
  CHECK(back.module == m.module);
  CHECK(back.module_class == m.module_class);
  CHECK(back.rule == m.rule);
  CHECK(back.strategy == m.strategy);
  CHECK(back.fallback == m.fallback);
  CHECK(back.purpose == "before-restore");
  CHECK(is_safety_set(back));
  CHECK(back.started == m.started);
  CHECK(back.finished == m.finished);
  CHECK(back.host == m.host);
  CHECK(back.engine == m.engine);
  CHECK(back.container.id == m.container.id);
  CHECK(back.container.name == m.container.name);
  CHECK(back.container.image == m.container.image);
  CHECK(back.container.image_id == m.container.image_id);
  CHECK(back.container.image_digest == m.container.image_digest);
  CHECK(back.container.compose == m.container.compose);
  REQUIRE(back.container.configuration);
  CHECK(back.container.configuration->file == m.container.configuration->file);
  CHECK(back.container.configuration->bytes == m.container.configuration->bytes);
  CHECK(back.container.configuration->sha256 == m.container.configuration->sha256);
  CHECK(back.consistency.mode == m.consistency.mode);
  REQUIRE(back.consistency.paused.size() == 2);
  CHECK(back.consistency.paused[0].name == "one");
  CHECK(back.consistency.paused[0].id == "id-1");
  CHECK(back.consistency.paused[0].seconds == 1.25);
  REQUIRE(back.artifacts.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const ArtifactRecord& ours = m.artifacts[i];
    const ArtifactRecord& theirs = back.artifacts[i];
    CHECK(theirs.part == ours.part);
    CHECK(theirs.file == ours.file);
    CHECK(theirs.kind == ours.kind);
    CHECK(theirs.compression == ours.compression);
    CHECK(theirs.source == ours.source);
    CHECK(theirs.bytes == ours.bytes);
    CHECK(theirs.sha256 == ours.sha256);
    CHECK(theirs.uncompressed_bytes == ours.uncompressed_bytes);
    CHECK(theirs.found == ours.found);
    CHECK(theirs.restore == ours.restore);
  }
  CHECK(back.facts == m.facts);
  CHECK(back.warnings == m.warnings);
  CHECK(back.incomplete == m.incomplete);
  CHECK(back.follow_ups == m.follow_ups);
  CHECK(back.members == m.members);
  CHECK(pretty_json(to_json(back)) == text);
}

TEST_CASE("an empty manifest is read back as it was written") {
  Manifest m = full_manifest();
  m.fallback.reset();
  m.purpose.clear();
  m.engine = m.facts = m.container.compose = m.artifacts[0].found =
      Json();  // null is written as {}
  m.warnings.clear();
  m.follow_ups.clear();
  m.members.clear();
  m.consistency.paused.clear();
  const Manifest back = manifest_from_json(dump_json(to_json(m)));
  CHECK_FALSE(back.fallback.has_value());
  // A backup has no purpose, as those that are older than the field.
  CHECK_FALSE(to_json(m).contains("purpose"));
  CHECK_FALSE(is_safety_set(back));
  for (const Json& value :
       {back.engine, back.facts, back.container.compose, back.artifacts[0].found}) {
    CHECK(value == Json::object());
  }
  CHECK(back.warnings.empty());
  CHECK(back.members.empty());
  CHECK(back.consistency.paused.empty());
}

TEST_CASE("each field removed is an error that names it") {
  const Json good = to_json(full_manifest());
  std::vector<std::string> all;
  places(good, "", all);
  int removed = 0;
  for (const std::string& place : all) {
    const Json::json_pointer pointer(place);
    if (pointer.back().find_first_not_of("0123456789") == std::string::npos) continue;
    if (place == "/purpose") continue;  // see above
    if (place == "/incomplete" || pointer.back() == "left_out" ||
        pointer.back() == "configuration") {
      continue;  // see below
    }
    Json bad = good;
    bad[pointer.parent_pointer()].erase(pointer.back());
    CHECK(error_of_reading(dump_json(bad)) ==
          fmt::format("error artifact: missing field \"{}\" | ", in_words(place)));
    ++removed;
  }
  CHECK(removed == 18 + 6 + 3 + 2 + 2 * 3 + 2 * 10);
}

TEST_CASE("a manifest from before `configuration` was written is read as one without") {
  Json old = to_json(full_manifest());
  old["container"].erase("configuration");
  CHECK_FALSE(manifest_from_json(dump_json(old)).container.configuration);
}

TEST_CASE("a manifest from before `left_out` was written is read as one that left nothing out") {
  Json old = to_json(full_manifest());
  old["artifacts"][0].erase("left_out");
  CHECK(manifest_from_json(dump_json(old)).artifacts[0].left_out.empty());
}

TEST_CASE("a manifest from before `incomplete` was written is read as one that lacks nothing") {
  Json old = to_json(full_manifest());
  old.erase("incomplete");
  CHECK(manifest_from_json(dump_json(old)).incomplete.empty());
}

TEST_CASE("a field or an element of another type is an error that names it") {
  const Json good = parse_json(dump_json(to_json(full_manifest()))).value();  // types as read
  std::vector<std::string> all;
  places(good, "", all);
  for (const std::string& place : all) {
    const Json::json_pointer pointer(place);
    for (const Json& other : {Json(), Json(true), Json("text"), Json(-1), Json(1.5), Json(7u),
                              Json::array(), Json::object(), Json::array({1})}) {
      const Json& was = good[pointer];
      if (other.type() == was.type() || (other.is_null() && place == "/fallback")) continue;
      if (place.ends_with("/seconds") && (other == Json(1.5) || other == Json(7u))) continue;
      Json bad = good;
      bad[pointer] = other;
      const std::string error = error_of_reading(dump_json(bad));
      CAPTURE(place);
      CAPTURE(dump_json(other));
      CHECK(
          error.starts_with(fmt::format("error artifact: field \"{}\" must be ", in_words(place))));
      CHECK(error.find(" not ") != std::string::npos);
    }
  }
}

TEST_CASE("invalid values are refused") {
  const Json good = to_json(full_manifest());
  const auto with = [&](const char* place, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(place)] = value;
    return error_of_reading(dump_json(bad));
  };
  for (const char* name :
       {"", ".", "..", "../x", "/etc/passwd", "a/b", ".hidden", "a\nb", "a\x7f"}) {
    CAPTURE(name);
    CHECK(
        with("/artifacts/1/file", name)
            .starts_with("error artifact: field \"artifacts[1].file\" must be a plain file name"));
    CHECK(with("/members/0", name)
              .starts_with("error artifact: field \"members[0]\" must be a plain file name"));
  }
  CHECK(with("/artifacts/0/file", std::string("a\0b", 3)).find("plain file name") !=
        std::string::npos);
  CHECK(with("/artifacts/0/file", std::string(256, 'x')).find("plain file name") !=
        std::string::npos);
  for (const std::string& sum : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                 std::string(64, 'g'), std::string()}) {
    CHECK(with("/artifacts/0/sha256", sum) ==
          "error artifact: field \"artifacts[0].sha256\" must be 64 lower-case hexadecimal digits "
          "| ");
  }
  CHECK(with("/artifacts/0/compression", "lzma") ==
        "error artifact: field \"artifacts[0].compression\" must be one of none, gzip, zstd, not "
        "\"lzma\" | ");
  // The services decide which letters there are.
  for (const char* letter : {"h", "AB", "1", ""}) {
    CHECK(with("/class", letter).find("\"class\" must be a capital letter") != std::string::npos);
  }
  CHECK(with("/module", "../x").find("\"module\" must be a module id") != std::string::npos);
  CHECK(with("/started", "yesterday").find("\"started\" must be a time") != std::string::npos);
  CHECK(with("/finished", "2026-02-30T00:00:00Z").find("\"finished\"") != std::string::npos);
  CHECK(with("/consistency/paused/0/seconds", -0.5).find("paused[0].seconds") != std::string::npos);
  Json nothing = good;
  nothing["artifacts"] = Json::array();
  CHECK(error_of_reading(dump_json(nothing)) == "no error");  // it names members
  nothing["members"] = Json::array();
  CHECK(error_of_reading(dump_json(nothing)).find("\"artifacts\" is empty") != std::string::npos);
}

TEST_CASE("text that is not a manifest is refused") {
  CHECK(error_of_reading("") == "error artifact: not JSON | ");
  CHECK(error_of_reading("{") == "error artifact: not JSON | ");
  CHECK(error_of_reading("{} {}") == "error artifact: not JSON | ");
  CHECK(error_of_reading(std::string(100'000, '[')) == "error artifact: not JSON | ");
  CHECK(error_of_reading("[]") == "error artifact: not a JSON object | ");
  CHECK(error_of_reading("\"x\"") == "error artifact: not a JSON object | ");
  CHECK(error_of_reading("{}") == "error artifact: missing field \"schema\" | ");
  const std::string whole = pretty_json(to_json(full_manifest()));
  for (std::size_t cut = 0; cut + 2 < whole.size(); ++cut) {
    CAPTURE(cut);
    CHECK(error_of_reading(whole.substr(0, cut)) == "error artifact: not JSON | ");
  }
}

TEST_CASE("a newer schema is told from a broken manifest, whatever else it holds") {
  const std::string wanted =
      "error artifact: was written by a newer version of backup-before-apply (schema 2; this "
      "version reads up to 1) | use the version that wrote it, or a later one";
  CHECK(error_of_reading(R"({"schema": 2, "artefacts": 7})") == wanted);
  Json newer = to_json(full_manifest());
  newer["schema"] = 2;
  CHECK(error_of_reading(dump_json(newer)) == wanted);
  newer["schema"] = 18446744073709551615ULL;
  CHECK(error_of_reading(dump_json(newer)).find("newer version") != std::string::npos);
  newer["schema"] = 0;
  CHECK(error_of_reading(dump_json(newer)) ==
        "error artifact: field \"schema\" must be 1 or more | ");
}

TEST_CASE("unknown fields are not an error") {
  Json later = to_json(full_manifest());
  later["colour"] = "blue";
  later["artifacts"][0]["colour"] = 7;
  CHECK(error_of_reading(dump_json(later)) == "no error");
}

TEST_CASE("bytes that are not UTF-8 do not stop a manifest from being written") {
  Manifest m = full_manifest();
  m.warnings = {"a file called \xff\xfe"};
  const Manifest back = manifest_from_json(pretty_json(to_json(m)));
  CHECK(back.warnings[0] == "a file called \xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("file names are written and read back, however strange the module id") {
  for (const std::string module :
       {"postgres", "a", "0", "agent-plane-shadow-postgres", "a-20260101", "a-20260101t000000z",
        "x.y", "x.sql.gz", "a-", "a.", "a_b-1-2-3", "drill.json", "manifest.json", "20261123"}) {
    CAPTURE(module);
    const auto check = [&](const std::string& name, const std::string& rest) {
      CHECK(name == module + "-20261123T084232Z." + rest);
      const auto parsed = parse_name(name);
      REQUIRE(parsed.has_value());
      CHECK(parsed->module == module);
      CHECK(parsed->time == start);
      CHECK(parsed->rest == rest);
    };
    check(artifact_name(module, start, "", "sql.gz"), "sql.gz");
    check(artifact_name(module, start, "var-lib-data", "tar.zst"), "var-lib-data.tar.zst");
    check(artifact_name(module, start, "x-20250101T000000Z.y", "snap"),
          "x-20250101T000000Z.y.snap");
    check(manifest_name(module, start), "manifest.json");
    check(receipt_name(module, start), "drill.json");
  }
}

TEST_CASE("names of other files are not ours") {
  for (const char* file : {"",
                           "-",
                           "postgres",
                           "postgres.sql.gz",
                           "postgres-20261123T084232Z",
                           "postgres-20261123T084232Z.",
                           "postgres-20261123T084232Zsql",
                           "-20261123T084232Z.sql",
                           "Postgres-20261123T084232Z.sql",
                           "..-20261123T084232Z.sql",
                           "a..b-20261123T084232Z.sql",
                           "postgres-20261323T084232Z.sql",
                           "postgres-20261123T084260Z.sql",
                           "postgres-20261123t084232z.sql",
                           "postgres-20261123T08423Z.sql",
                           "postgres_20261123T084232Z.sql",
                           "a/b-20261123T084232Z.sql",
                           "a-2026112",
                           "a-b-c-",
                           "one-20261123T084232Z-20261123T084232Z.sql"}) {
    CAPTURE(file);
    CHECK_FALSE(parse_name(file).has_value());
  }
}

TEST_CASE("a module id that cannot be in a file name is a bug of the caller") {
  for (const std::string module : {"", "..", "../x", "A", "a b"}) {
    CHECK(error_of([&] { (void)manifest_name(module, start); }).starts_with("error internal: "));
  }
  for (const std::string& part : {std::string("a/b"), std::string("a\nb"), std::string(300, 'x')}) {
    CHECK(error_of([&] {
            (void)artifact_name("postgres", start, part, "tar.gz");
          }).starts_with("error internal: "));
  }
}

TEST_CASE("the example in docs/manifest.md is a manifest, with every field") {
  const std::string example = example_in_document();
  const Manifest m = manifest_from_json(example);
  CHECK(m.module == "postgres");
  CHECK(m.artifacts.size() == 1);
  CHECK(pretty_json(to_json(m)) == example);
}

TEST_CASE("docs/manifest.md describes every field") {
  const std::string text = document();
  std::vector<std::string> all;
  places(to_json(full_manifest()), "", all);
  for (const std::string& place : all) {
    const Json::json_pointer pointer(place);
    if (pointer.back().find_first_not_of("0123456789") == std::string::npos) continue;
    CAPTURE(place);
    CHECK(text.find("| `" + pointer.back() + "` |") != std::string::npos);
  }
}
