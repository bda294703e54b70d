#include "bba/commands/verify/verify.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "bba/commands/verify/verify_text.hpp"
#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;
using pipe::Compression;

std::string found_broken(BackupFixture& fixture, const std::string& reference) {
  try {
    return verify(fixture.session, reference).first_broken();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::artifact);
    return error.what();
  }
}

// One kind and one compression, for a campaign to damage.
struct Field {
  std::string name;
  std::function<Content(std::uint64_t)> content;
  Compression compression;
};

std::vector<Field> fields() {
  std::vector<Field> all;
  for (const auto compression : {Compression::gzip, Compression::zstd, Compression::none}) {
    all.push_back({"sql", [](std::uint64_t seed) { return sql_content(seed); }, compression});
    all.push_back({"tar", [](std::uint64_t seed) { return tar_content(seed); }, compression});
    all.push_back(
        {"rdb-directory", [](std::uint64_t seed) { return rdb_content(seed); }, compression});
  }
  all.push_back(
      {"objects", [](std::uint64_t seed) { return objects_content(seed); }, Compression::gzip});
  all.push_back(
      {"host-directory", [](std::uint64_t seed) { return host_content(seed); }, Compression::zstd});
  all.push_back({"raft-snapshot", [](std::uint64_t seed) { return snapshot_content(seed); },
                 Compression::none});
  return all;
}

// Puts `bytes` where a file is, asks for the verdict, and puts the file back.
bool is_caught(BackupFixture& fixture, const std::string& file, const std::string& bytes) {
  const std::string whole = read_file(fixture.path(file));
  REQUIRE(bytes != whole);
  write_file(fixture.path(file), bytes);
  const bool caught = !found_broken(fixture, "web").empty();
  write_file(fixture.path(file), whole);
  return caught;
}

// The manifest with one change, and its checksum adjusted to it.
std::string edited(const std::string& manifest, const std::function<void(Json&)>& change) {
  Json json = *parse_json(manifest);
  json.erase("sha256");
  change(json);
  return store::with_checksum(json);
}

}  // namespace

TEST_CASE("every kind and compression passes, and says what it holds") {
  for (const Field& field : fields()) {
    CAPTURE(field.name);
    BackupFixture fixture;
    const auto manifest =
        put_set(fixture, "web", noon, {{"", field.content(1), field.compression}});
    const Verification verification = verify(fixture.session, "web");
    CHECK(verification.first_broken() == "");
    REQUIRE(verification.sets.size() == 1);
    CHECK(verification.sets[0].good());
    CHECK(verification.sets[0].manifest_sha256 ==
          sha256_of(read_file(fixture.path("web-20261123T120000Z.manifest.json"))));
    REQUIRE(verification.sets[0].artifacts.size() == 1);
    CHECK(verification.sets[0].artifacts[0].holds.starts_with(field.name));
    const std::string text = verification_text(verification);
    CHECK(text.starts_with("ok   " + manifest.artifacts[0].file));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    const Json json = verification_json(verification);
    CHECK(json[0]["module"] == "web");
    CHECK(json[0]["class"] == "E");
    CHECK(json[0]["good"] == true);
  }
}

TEST_CASE("the JSON says what a set is, as the manifest has it") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.fallback = "no snapshot, as it is sealed";
    manifest.artifacts[0].found["changed_while_read"] = 3;
    manifest.incomplete = {"bucket photos"};
  });
  const Json json = verification_json(verify(fixture.session, "web"));
  CHECK(json[0]["good"] == true);
  CHECK(json[0]["strategy"] == "mounted data archive");
  CHECK(json[0]["fallback"] == "no snapshot, as it is sealed");
  CHECK(json[0]["changed_while_read"] == 3);
  CHECK(json[0]["incomplete"] == Json::array({"bucket photos"}));
}

TEST_CASE(
    "corruption campaign: a flipped bit and a cut, longer, swapped or empty file are caught") {
  std::mt19937_64 random(20261123);
  std::size_t tried = 0;
  std::size_t missed = 0;
  const auto attempt = [&](BackupFixture& fixture, const std::string& file,
                           const std::string& bytes, const char* what) {
    ++tried;
    if (is_caught(fixture, file, bytes)) return;
    ++missed;
    MESSAGE("missed: ", what, " in ", file);
  };
  for (const Field& field : fields()) {
    BackupFixture fixture;
    const auto manifest = put_set(fixture, "web", noon,
                                  {{"one", field.content(1), field.compression},
                                   {"two", field.content(2), field.compression}});
    REQUIRE(found_broken(fixture, "web") == "");
    for (const store::ArtifactRecord& record : manifest.artifacts) {
      const std::string whole = read_file(fixture.path(record.file));
      // The first bytes are headers, where a flip changes the least.
      for (std::size_t i = 0; i < 40; ++i) {
        std::string bytes = whole;
        const std::size_t at = i < 20 ? i : random() % whole.size();
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        attempt(fixture, record.file, bytes, "a flipped bit");
      }
      for (int i = 0; i < 12; ++i) {
        attempt(fixture, record.file, whole.substr(0, random() % whole.size()), "a cut");
        attempt(fixture, record.file, whole + std::string(1 + random() % 2000, '\0'),
                "zeros behind");
        std::string bytes = whole;
        const std::size_t at = random() % (whole.size() - 1);
        bytes.erase(at, 1 + random() % 600);
        attempt(fixture, record.file, bytes, "a piece gone");
      }
      attempt(fixture, record.file, "", "nothing left");
      attempt(fixture, record.file, whole + whole, "twice itself");
      attempt(fixture, record.file, whole.substr(0, whole.size() - 1), "the last byte gone");
    }
    const std::string& one = manifest.artifacts[0].file;
    const std::string& two = manifest.artifacts[1].file;
    const std::string content = read_file(fixture.path(one));
    const std::string other = read_file(fixture.path(two));
    attempt(fixture, one, other, "the other artifact's content");
    write_file(fixture.path(one), other);
    attempt(fixture, two, content, "both swapped");
    write_file(fixture.path(one), content);
    for (const std::string& gone : {one, two}) {
      ++tried;
      std::filesystem::rename(fixture.path(gone), fixture.temp / "aside");
      missed += found_broken(fixture, "web").empty() ? 1 : 0;
      std::filesystem::rename(fixture.temp / "aside", fixture.path(gone));
    }
    REQUIRE(found_broken(fixture, "web") == "");
  }
  MESSAGE("damaged artifacts tried: ", tried, ", missed: ", missed);
  CHECK(tried > 1500);
  CHECK(missed == 0);
}

TEST_CASE("a truncated artifact is caught by its format, even where size and sum were adjusted") {
  std::mt19937_64 random(4);
  std::size_t tried = 0;
  for (const Field& field : fields()) {
    BackupFixture fixture;
    const auto manifest =
        put_set(fixture, "web", noon, {{"", field.content(1), field.compression}});
    const std::string& file = manifest.artifacts[0].file;
    const std::string name = store::manifest_name("web", noon);
    const std::string whole = read_file(fixture.path(file));
    const std::string record = read_file(fixture.path(name));
    for (int i = 0; i < 25; ++i) {
      const std::string bytes = whole.substr(0, random() % whole.size());
      write_file(fixture.path(file), bytes);
      write_file(fixture.path(name), edited(record, [&](Json& json) {
                   json["artifacts"][0]["bytes"] = bytes.size();
                   json["artifacts"][0]["sha256"] = sha256_of(bytes);
                   // Without compression this would be noticed as well.
                   if (field.compression == Compression::none) {
                     json["artifacts"][0]["uncompressed_bytes"] = bytes.size();
                   }
                 }));
      ++tried;
      CAPTURE(file);
      CAPTURE(bytes.size());
      CHECK(found_broken(fixture, "web") != "");
    }
  }
  MESSAGE("agreeing cuts tried: ", tried);
}

TEST_CASE("corruption campaign: every field of the manifest that the files can contradict") {
  const auto changed = [](const Json& value) -> Json {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>() + 1;
    if (value.is_number()) return value.get<std::int64_t>() + 1;
    if (value.is_string()) return value.get<std::string>() + "x";
    if (value.is_array()) return Json::array({"x"});
    return Json();
  };
  std::size_t tried = 0;
  for (const Field& field : fields()) {
    CAPTURE(field.name);
    BackupFixture fixture;
    put_set(fixture, "web", noon, {{"one", field.content(1), field.compression}});
    const std::string name = store::manifest_name("web", noon);
    const std::string whole = read_file(fixture.path(name));
    const auto attempt = [&](const std::string& what, const std::function<void(Json&)>& change) {
      CAPTURE(what);
      ++tried;
      CHECK(is_caught(fixture, name, edited(whole, change)));
    };

    for (const char* key : {"schema", "module", "started", "members"}) {
      attempt(key, [&](Json& json) { json[key] = changed(json[key]); });
    }
    attempt("started, a second later",
            [](Json& json) { json["started"] = "2026-11-23T12:00:01Z"; });
    attempt("finished before started",
            [](Json& json) { json["finished"] = "2026-11-23T11:59:59Z"; });
    attempt("class", [](Json& json) { json["class"] = "X"; });
    attempt("no artifacts", [](Json& json) { json["artifacts"] = Json::array(); });
    attempt("the artifact twice",
            [](Json& json) { json["artifacts"].push_back(json["artifacts"][0]); });
    attempt("a member that is not there",
            [](Json& json) { json["members"] = {"db-20261123T120000Z.manifest.json"}; });
    for (const char* key :
         {"part", "file", "kind", "compression", "bytes", "sha256", "uncompressed_bytes"}) {
      attempt(key, [&](Json& json) {
        Json& value = json["artifacts"][0][key];
        value = changed(value);
      });
    }
    for (const char* sha : {"0", "f"}) {
      attempt("sha256, one digit", [&](Json& json) {
        auto text = json["artifacts"][0]["sha256"].get<std::string>();
        text[20] = text[20] == *sha ? 'a' : *sha;
        json["artifacts"][0]["sha256"] = text;
      });
    }
    for (const char* kind :
         {"sql", "tar", "rdb-directory", "objects", "host-directory", "raft-snapshot"}) {
      // These two differ in who wrote the tar, which cannot be seen in it.
      const auto is_tree = [](std::string_view one) {
        return one == "tar" || one == "host-directory";
      };
      const bool alike = is_tree(field.name) && is_tree(kind);
      if (kind == field.name || alike) continue;
      attempt(kind, [&](Json& json) { json["artifacts"][0]["kind"] = kind; });
    }
    for (const char* compression : {"none", "gzip", "zstd"}) {
      if (pipe::name(field.compression) == compression) continue;
      attempt(compression, [&](Json& json) { json["artifacts"][0]["compression"] = compression; });
    }
    const Json json = *parse_json(whole);
    for (const auto& [key, value] : json.items()) {
      if (key == "sha256") continue;      // put back by the edit; the next campaign removes it
      if (key == "incomplete") continue;  // manifests of earlier versions have none
      attempt("without " + key, [&, gone = key](Json& one) { one.erase(gone); });
    }
    for (const auto& [key, value] : json["artifacts"][0].items()) {
      if (key == "left_out") continue;  // the same
      attempt("without " + key, [&, gone = key](Json& one) { one["artifacts"][0].erase(gone); });
    }
    for (const auto& [key, value] : json["artifacts"][0]["found"].items()) {
      attempt("found." + key, [&, one = key](Json& edit) {
        Json& found = edit["artifacts"][0]["found"][one];
        found = changed(found);
      });
      attempt("without found." + key,
              [&, gone = key](Json& one) { one["artifacts"][0]["found"].erase(gone); });
    }
    for (const std::string& bytes :
         {std::string(), std::string("{}"), whole.substr(0, 300), whole + "}", std::string("[]")}) {
      ++tried;
      CHECK(is_caught(fixture, name, bytes));
    }
    CHECK(found_broken(fixture, "web") == "");
  }
  MESSAGE("edited manifests tried: ", tried);
  CHECK(tried > 500);
}

TEST_CASE("corruption campaign: every edit of a manifest, in every field of it, at every size") {
  std::mt19937_64 random(11);
  std::size_t tried = 0;
  std::size_t missed = 0;
  for (const Field& field : fields()) {
    BackupFixture fixture;
    put_set(fixture, "web", noon, {{"one", field.content(1), field.compression}});
    const std::string name = store::manifest_name("web", noon);
    const std::string whole = read_file(fixture.path(name));
    const auto attempt = [&](const std::string& bytes) {
      if (bytes == whole) return;
      ++tried;
      if (is_caught(fixture, name, bytes)) return;
      ++missed;
      MESSAGE("missed in ", field.name, ": ", bytes);
    };
    // In each line, which is one field: change a bit, a byte, or all of it.
    std::size_t end = 0;
    for (std::size_t begin = 0; begin < whole.size(); begin = end + 1) {
      end = whole.find('\n', begin);
      const std::size_t at = begin + random() % (end - begin);
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      attempt(bytes);
      bytes = whole;
      bytes.erase(at, 1);
      attempt(bytes);
      bytes = whole;
      bytes.insert(at, 1, bytes[at]);
      attempt(bytes);
      bytes = whole;
      bytes.erase(begin, end + 1 - begin);
      attempt(bytes);
    }
    // A change that no file contradicts, by an editor that does not adjust the checksum.
    for (const char* key : {"host", "rule", "strategy", "tool_version"}) {
      Json json = *parse_json(whole);
      json[key] = "another";
      attempt(pretty_json(json));
      json.erase("sha256");
      attempt(pretty_json(json));
    }
    CHECK(found_broken(fixture, "web") == "");
  }
  MESSAGE("edits tried: ", tried, ", missed: ", missed);
  CHECK(tried > 2000);
  CHECK(missed == 0);
}

TEST_CASE("an artifact that is not a file is broken, and the others are still judged") {
  BackupFixture fixture;
  const auto manifest =
      put_set(fixture, "web", noon, {{"one", tar_content(1)}, {"two", tar_content(2)}});
  put_set(fixture, "web", noon - 1h, {{"", tar_content(3)}});
  verify(fixture.session, "web");
  REQUIRE(std::filesystem::exists(fixture.proofs() + "/web.json"));
  const std::string artifact = fixture.path(manifest.artifacts[0].file);
  std::filesystem::rename(artifact, fixture.temp / "elsewhere");
  SUBCASE("a symlink to the same bytes") {
    std::filesystem::create_symlink(fixture.temp / "elsewhere", artifact);
  }
  SUBCASE("a directory") {
    std::filesystem::create_directory(artifact);
  }
  SUBCASE("a FIFO") {
    REQUIRE(::mkfifo(artifact.c_str(), 0600) == 0);
  }
  const Verification verification = verify(fixture.session, "web");
  REQUIRE(verification.sets.size() == 2);
  CHECK(contains(verification.sets[0].artifacts.at(0).broken, "not a regular file"));
  CHECK(verification.sets[0].artifacts.at(1).broken == "");
  CHECK(verification.sets[1].good());
  CHECK(contains(verification_text(verification), "BAD  " + manifest.artifacts[0].file));
  CHECK_FALSE(std::filesystem::exists(fixture.proofs() + "/web.json"));
}

TEST_CASE("the first error is named with its offset") {
  BackupFixture fixture;
  const auto manifest = put_set(fixture, "web", noon, {{"", tar_content()}});
  const std::string& file = manifest.artifacts[0].file;
  const std::string whole = read_file(fixture.path(file));

  write_file(fixture.path(file), whole.substr(0, 1000));
  CHECK(found_broken(fixture, "web") ==
        file + ": cut at byte 1000: the manifest says " + std::to_string(whole.size()) + " bytes");
  write_file(fixture.path(file), whole + "abc");
  CHECK(contains(found_broken(fixture, "web"),
                 "trailing data after the end, from byte " + std::to_string(whole.size())));
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x10);
  write_file(fixture.path(file), flipped);
  CHECK(contains(found_broken(fixture, "web"), "gzip: "));

  // Byte 9 of a gzip header says which system wrote it, and no reader looks.
  std::string other_system = whole;
  other_system[9] = static_cast<char>(other_system[9] ^ 1);
  write_file(fixture.path(file), other_system);
  CHECK(contains(found_broken(fixture, "web"), "its sha256 is " + sha256_of(other_system)));

  std::filesystem::remove(fixture.path(file));
  CHECK(contains(found_broken(fixture, "web"), "missing: the manifest names it"));
  const std::string text = verification_text(verify(fixture.session, "web"));
  CHECK(text.starts_with("BAD  " + file + ": missing"));
}

TEST_CASE("an RDB that was damaged before it went into the tar is named") {
  BackupFixture fixture;
  Content content = rdb_content();
  const std::size_t at = content.bytes.find("hello");
  REQUIRE(at != std::string::npos);
  content.bytes[at] = 'j';
  put_set(fixture, "web", noon, {{"", content}});
  const std::string broken = found_broken(fixture, "web");
  CHECK(contains(broken, "data/dump.rdb"));
  CHECK(contains(broken, "checksum"));
}

TEST_CASE("append-only files are counted again where the manifest has their number") {
  const std::string rdb = pipe::test::fixture("rdb/redis-7.0.15.rdb");
  Content content{"rdb-directory",
                  tar_of({{tar_entry("data", pipe::TarType::directory), ""},
                          {tar_entry("data/dump.rdb"), rdb},
                          {tar_entry("data/appendonlydir", pipe::TarType::directory), ""},
                          {tar_entry("data/appendonlydir/x.aof.1.base.rdb"), "b"},
                          {tar_entry("data/appendonlydir/x.aof.1.incr.aof"), "i"},
                          {tar_entry("data/appendonlydir/x.aof.manifest"), "m"}}),
                  {{"entries", 6},
                   {"files", 4},
                   {"directories", 2},
                   {"symlinks", 0},
                   {"hard_links", 0},
                   {"others", 0},
                   {"content_bytes", rdb.size() + 3},
                   {"rdb_file", "dump.rdb"},
                   {"rdb_version", 10}}};
  const auto broken = [&] {
    BackupFixture fixture;
    put_set(fixture, "web", noon, {{"", content}});
    return found_broken(fixture, "web");
  };
  CHECK(broken() == "");  // of an earlier version
  content.found["aof_files"] = 2;
  CHECK(broken() == "");
  content.found["aof_files"] = 1;
  CHECK(contains(broken(), "aof_files"));
}

TEST_CASE("a dump that was cut inside a COPY is named, whatever its manifest says") {
  BackupFixture fixture;
  Content content = sql_content();
  content.bytes.resize(10'000);
  put_set(fixture, "web", noon, {{"", content}});
  CHECK(contains(found_broken(fixture, "web"), "cut inside the rows of a COPY at byte 10000"));
}

TEST_CASE("artifact, manifest and module are references, also in a copy without engine or state") {
  BackupFixture fixture;
  const auto manifest =
      put_set(fixture, "web", noon, {{"one", tar_content(1)}, {"two", tar_content(2)}});
  put_set(fixture, "web", noon - 1h, {{"", tar_content(3)}});
  const std::string copy = fixture.temp / "copy";
  std::filesystem::copy(fixture.backups(), copy);
  fixture.session.settings.backup_dir = fixture.temp / "nothing";
  const std::string name = copy + "/web-20261123T120000Z";

  CHECK(verify(fixture.session, name + ".manifest.json").sets[0].artifacts.size() == 2);
  const Verification one = verify(fixture.session, name + ".two.tar.gz");
  REQUIRE(one.sets.size() == 1);
  REQUIRE(one.sets[0].artifacts.size() == 1);
  CHECK(one.sets[0].artifacts[0].file == manifest.artifacts[1].file);
  CHECK(one.first_broken() == "");

  fixture.session.settings.backup_dir = copy;
  const Verification both = verify(fixture.session, "web");
  REQUIRE(both.sets.size() == 2);
  CHECK(both.sets[0].started == noon);
  CHECK(verify(fixture.session, "web-20261123T110000Z.tar.gz").sets.size() == 1);
  CHECK_FALSE(std::filesystem::exists(fixture.state()));
}

TEST_CASE("each reference that is not a set has a message of its own") {
  BackupFixture fixture;
  const auto manifest = put_set(fixture, "web", noon, {{"", tar_content()}});
  const std::string name = store::manifest_name("web", noon);
  const std::string artifact = fixture.path(manifest.artifacts[0].file);
  const std::string whole = read_file(fixture.path(name));
  const auto thrown = [&](const std::string& reference) {
    return thrown_by([&] { verify(fixture.session, reference); });
  };

  SUBCASE("a newer manifest") {
    write_file(fixture.path(name), edited(whole, [](Json& json) { json["schema"] = 99; }));
    for (const std::string& reference : {std::string("web"), artifact, fixture.path(name)}) {
      const Verification verification = verify(fixture.session, reference);
      CHECK(contains(verification.first_broken(), "written by a newer version"));
      CHECK(verification_text(verification).starts_with("BAD  " + name));
    }
  }
  SUBCASE("an artifact without a manifest") {
    std::filesystem::remove(fixture.path(name));
    const Thrown error = thrown(artifact);
    CHECK(error.kind == ErrorKind::artifact);
    CHECK(contains(error.message, "no manifest names it"));
    CHECK(contains(error.hint, name));
    CHECK(thrown("web").kind == ErrorKind::config);
  }
  SUBCASE("an artifact that the manifest of its time does not name") {
    write_file(fixture.path("web-20261123T120000Z.more.tar.gz"), "x");
    CHECK(thrown(fixture.path("web-20261123T120000Z.more.tar.gz")).kind == ErrorKind::artifact);
    const Verification all = verify(fixture.session, "web");
    CHECK(all.first_broken() == "");
    REQUIRE(all.notes.size() == 1);
    CHECK(contains(all.notes[0], "web-20261123T120000Z.more.tar.gz: no manifest names it"));
  }
  SUBCASE("no such file, no such module, no such name") {
    CHECK(thrown(fixture.path("web-20200101T000000Z.tar.gz")).kind == ErrorKind::storage);
    CHECK(thrown("other").kind == ErrorKind::config);
    CHECK(contains(thrown("other").hint, "backup-before-apply other"));
    CHECK(thrown("No Module").kind == ErrorKind::usage);
    CHECK(thrown(fixture.temp / "readme.txt").kind == ErrorKind::usage);
  }
}

TEST_CASE("sets that were taken together need each other") {
  BackupFixture fixture;
  const std::string web = store::manifest_name("web", noon);
  const std::string db = store::manifest_name("db", noon);
  const auto with = [](std::string other) {
    return [other = std::move(other)](store::Manifest& manifest) { manifest.members = {other}; };
  };
  put_set(fixture, "web", noon, {{"", tar_content(1)}}, with(db));
  put_set(fixture, "db", noon, {{"", sql_content()}}, with(web));
  CHECK(found_broken(fixture, "web") == "");
  CHECK(found_broken(fixture, "db") == "");
  put_set(fixture, "db", noon, {{"", sql_content()}});
  CHECK(contains(found_broken(fixture, "web"), "does not name it"));
  std::filesystem::remove(fixture.path(db));
  CHECK(contains(found_broken(fixture, "web"), db + " is missing"));
  std::filesystem::create_symlink("elsewhere", fixture.path(db));
  CHECK(contains(found_broken(fixture, "web"), db + ": not a regular file"));
}

TEST_CASE("a request to stop and a time limit end a verification") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  fixture.stop.set_time_limit(0s);
  const Thrown late = thrown_by([&] { verify(fixture.session, "web"); });
  CHECK(late.kind == ErrorKind::timeout);
  CHECK(contains(late.hint, "--timeout"));
  fixture.stop.request(SIGTERM);
  CHECK(thrown_by([&] { verify(fixture.session, "web"); }).kind == ErrorKind::terminated);
}

TEST_CASE(
    "a set that passes has its proof renewed, one that fails loses it; a copy changes nothing") {
  BackupFixture fixture;
  const auto manifest = put_set(fixture, "web", noon, {{"", tar_content()}});
  const std::string proof = fixture.proofs() + "/web.json";
  const std::string copy = fixture.temp / "copy";
  std::filesystem::copy(fixture.backups(), copy);
  verify(fixture.session, copy + "/" + manifest.artifacts[0].file);
  CHECK_FALSE(std::filesystem::exists(proof));
  verify(fixture.session, "web");
  REQUIRE(std::filesystem::exists(proof));

  write_file(copy + "/" + manifest.artifacts[0].file, "broken");
  verify(fixture.session, copy + "/" + manifest.artifacts[0].file);
  CHECK(std::filesystem::exists(proof));
  write_file(fixture.path(manifest.artifacts[0].file), "broken");
  verify(fixture.session, "web");
  CHECK_FALSE(std::filesystem::exists(proof));
}

TEST_CASE("the advice names the broken set, and what is left to rely on") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  const auto old = put_set(fixture, "web", noon - 24h, {{"", tar_content()}});
  CHECK(advice(verify(fixture.session, "web")) == "");
  write_file(fixture.path(old.artifacts[0].file), "broken");
  CHECK(
      advice(verify(fixture.session, "web")) ==
      "do not rely on web-20261122T120000Z.manifest.json; 1 of 2 sets are good, the newest of web "
      "is web-20261123T120000Z.manifest.json");
  CHECK(contains(advice(verify(fixture.session, "web-20261122T120000Z.manifest.json")),
                 "do not rely on web-20261122T120000Z.manifest.json; `list web`"));
  write_file(fixture.path("web-20261123T120000Z.tar.gz"), "broken");
  CHECK(advice(verify(fixture.session, "web")) ==
        "do not rely on web-20261123T120000Z.manifest.json; no other that was read is good, else "
        "take a new backup");
}

}  // namespace bba::commands
