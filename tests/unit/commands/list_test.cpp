#include "bba/commands/list.hpp"

#include <filesystem>

#include <doctest/doctest.h>

#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE("sets are listed by module, newest first, and orphans behind them") {
  BackupFixture fixture;
  put_set(fixture, "web", noon - 24h, {{"", tar_content(1)}});
  put_set(fixture, "web", noon, {{"one", tar_content(1)}, {"two", tar_content(2)}});
  put_set(fixture, "db", noon - 1h, {{"", sql_content()}});
  put_receipt(fixture, "db", noon - 1h);
  write_file(fixture.path("db-20200101T000000Z.sql.gz"), "x");

  const Listing listing = list(fixture.session, "");
  REQUIRE(listing.sets.size() == 3);
  CHECK(listing.sets[0].module == "db");
  CHECK(listing.sets[0].proof == "drilled");
  CHECK(listing.sets[1].started == noon);
  CHECK(listing.sets[1].artifacts.size() == 2);
  CHECK(listing.sets[2].proof == "verified");
  REQUIRE(listing.orphans.size() == 1);

  const std::string text = list_text(listing, noon + 1h);
  CHECK(text.starts_with("MODULE"));
  CHECK(contains(text, "  1d 1h  mounted data archive\n"));
  CHECK(text.ends_with("orphan  db-20200101T000000Z.sql.gz  no manifest names it\n"));
  const Json json = list_json(listing, noon + 1h);
  CHECK(json["sets"][0]["module"] == "db");
  CHECK(json["sets"][0]["class"] == "E");
  CHECK(json["sets"][0]["age_seconds"] == 7200);
  CHECK(json["sets"][0]["ratio"].get<double>() < 1);
  CHECK(json["orphans"][0]["file"] == "db-20200101T000000Z.sql.gz");

  CHECK(list(fixture.session, "web").sets.size() == 2);
  CHECK(list(fixture.session, "web").orphans.empty());
  CHECK(list(fixture.session, "other").sets.empty());
}

TEST_CASE("a set that a drill disproved says so, and why, until it is edited") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  put_receipt(fixture, "web", noon, false);
  const Listing listing = list(fixture.session, "web");
  CHECK(listing.sets.at(0).proof == "failed");
  CHECK(listing.sets.at(0).broken == "");
  CHECK(contains(list_text(listing, noon),
                 "  failed    0s   mounted data archive\n        failed: a key is lost\n"));
  CHECK(list_json(listing, noon)["sets"][0]["failed"] == "a key is lost");
}

TEST_CASE("a fallback, a set that changed and an incomplete one say so, below their row") {
  BackupFixture fixture;
  put_set(fixture, "vault", noon, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.fallback = "no snapshot, as it is\nsealed";
    manifest.artifacts[0].found["changed_while_read"] = 3;
    manifest.incomplete = {"bucket photos", "bucket films"};
  });
  put_set(fixture, "vault", noon - 1h, {{"", snapshot_content()}},
          [](store::Manifest& manifest) { manifest.strategy = "raft snapshot"; });
  const Listing listing = list(fixture.session, "");
  const std::string text = list_text(listing, noon);
  CHECK(contains(text,
                 "  verified  0s   mounted data archive\n"
                 "        fallback: no snapshot, as it is\\nsealed\n"
                 "        changed: 3 entries changed while they were read\n"
                 "        incomplete: bucket photos\n"
                 "        incomplete: bucket films\n"
                 "vault   "));
  CHECK(text.ends_with("  verified  1h   raft snapshot\n"));
  const Json json = list_json(listing, noon);
  CHECK(json["sets"][0]["strategy"] == "mounted data archive");
  CHECK(json["sets"][0]["fallback"] == "no snapshot, as it is\nsealed");
  CHECK(json["sets"][0]["changed_while_read"] == 3);
  CHECK(json["sets"][0]["incomplete"] == Json::array({"bucket photos", "bucket films"}));
  CHECK(json["sets"][1]["strategy"] == "raft snapshot");
  CHECK(json["sets"][1]["fallback"].is_null());
  CHECK(json["sets"][1]["changed_while_read"] == 0);
  CHECK(json["sets"][1]["incomplete"] == Json::array());
}

TEST_CASE("a set with a file that is missing or of another size is shown as broken") {
  BackupFixture fixture;
  const auto missing = put_set(fixture, "a", noon, {{"", tar_content()}});
  const auto longer = put_set(fixture, "b", noon, {{"", tar_content()}});
  std::filesystem::remove(fixture.path(missing.artifacts[0].file));
  write_file(fixture.path(longer.artifacts[0].file), "x");
  const Listing listing = list(fixture.session, "");
  REQUIRE(listing.sets.size() == 2);
  for (const ListedSet& row : listing.sets) CHECK(row.proof == "broken");
  CHECK(contains(listing.sets[0].broken, "is missing"));
  CHECK(contains(listing.sets[1].broken, "has 1 bytes"));
}

TEST_CASE("a set dated in the future is marked, and an empty one does not divide by zero") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", {"tar", "", tar_content().found}, pipe::Compression::none}});
  const Listing listing = list(fixture.session, "web");
  CHECK(contains(list_text(listing, noon - 1h), "in the future"));
  CHECK(list_json(listing, noon)["sets"][0]["ratio"] == 1.0);
}

TEST_CASE("a missing directory and an invalid module id are errors") {
  BackupFixture fixture;
  CHECK(thrown_by([&] { list(fixture.session, "a/b"); }).kind == ErrorKind::config);
  fixture.session.settings.backup_dir = fixture.temp / "nowhere";
  CHECK(thrown_by([&] { list(fixture.session, ""); }).kind == ErrorKind::storage);
}

TEST_CASE("a safety set says in its row that it is one") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}}, as_safety_set);
  put_set(fixture, "web", noon - 1h, {{"", tar_content()}});
  const Listing listing = list(fixture.session, "web");
  const std::string text = list_text(listing, noon);
  CHECK(contains(text, "  mounted data archive, safety set: before a restore\n"));
  CHECK(contains(text, "  mounted data archive\n"));
  const Json json = list_json(listing, noon);
  CHECK(json["sets"][0]["purpose"] == "before-restore");
  CHECK(json["sets"][1]["purpose"].is_null());
}

}  // namespace bba::commands
