#include "commands/set_reference.hpp"

#include <filesystem>

#include "unit/commands/sets.hpp"

namespace bba::commands {

using namespace std::chrono_literals;
using namespace test;

namespace {

const std::string time_text = "20261123T120000Z";
const std::string artifact = "web-" + time_text + ".tar.gz";
const std::string manifest = "web-" + time_text + ".manifest.json";

store::Catalogue catalogue_of(const BackupFixture& fixture) {
  return store::read_catalogue(store::OwnedDirectory::open_existing(fixture.backups()), "web");
}

}  // namespace

TEST_CASE("the file that a reference means") {
  BackupFixture fixture;
  const auto far = file_reference(fixture.session, "/there/" + artifact);
  REQUIRE(far);
  CHECK(far->directory == "/there");
  CHECK(far->file == artifact);
  CHECK_FALSE(far->is_bare);
  CHECK(file_reference(fixture.session, "/" + artifact)->directory == "/");
  CHECK(file_reference(fixture.session, "sub/" + artifact)->directory == "sub");
  const auto bare = file_reference(fixture.session, artifact);
  REQUIRE(bare);
  CHECK(bare->directory == fixture.backups());
  CHECK(bare->is_bare);
  CHECK_FALSE(file_reference(fixture.session, "web"));
  CHECK_FALSE(file_reference(fixture.session, time_text));
}

TEST_CASE("beside a module id, a time is a reference, and another module's file is none") {
  BackupFixture fixture;
  const auto by_time = file_reference(fixture.session, "web", time_text);
  CHECK(by_time.file == manifest);
  CHECK(by_time.directory == fixture.backups());
  CHECK(by_time.is_bare);
  CHECK(file_reference(fixture.session, "web", artifact).file == artifact);
  CHECK(file_reference(fixture.session, "web", "/there/" + manifest).directory == "/there");
  for (const std::string& wrong :
       {std::string("web"), std::string(), std::string("/etc/passwd"), std::string("20261123"),
        "web-" + time_text + ".drill.json", "db-" + time_text + ".sql.gz"}) {
    CAPTURE(wrong);
    CHECK(thrown_by([&] { file_reference(fixture.session, "web", wrong); }).kind ==
          ErrorKind::usage);
  }
}

TEST_CASE("the set of a file is that of its time, where the manifest names it") {
  BackupFixture fixture;
  put_set(fixture, "web", noon - 1h, {{"", tar_content()}});
  put_set(fixture, "web", noon, {{"", tar_content()}});
  put_set(fixture, "web", noon + 1h, {{"", tar_content()}});
  write_file(fixture.path("web-" + time_text + ".more.tar.gz"), "x");
  write_file(fixture.path("web-20261123T100000Z.tar.gz"), "x");
  write_file(fixture.path("web-20261123T110000Z.manifest.json"), "{}");
  const store::Catalogue catalogue = catalogue_of(fixture);
  REQUIRE(catalogue.sets.size() == 2);
  const auto asked = [&](const std::string& file) {
    return thrown_by([&] { index_of_set(catalogue, {fixture.backups(), file}); });
  };
  CHECK(index_of_set(catalogue, {fixture.backups(), artifact}) == 1);
  CHECK(index_of_set(catalogue, {fixture.backups(), manifest}) == 1);
  CHECK(contains(asked("web-" + time_text + ".more.tar.gz").message, "no manifest names it"));
  CHECK(contains(asked("web-20261123T100000Z.tar.gz").message, "no manifest names it"));
  CHECK(contains(asked("web-20261123T110000Z.tar.gz").message, "manifest.json: it cannot be read"));
  CHECK(contains(asked("web-20261123T110000Z.manifest.json").message, "it cannot be read"));
  CHECK(asked("web-20261123T110000Z.manifest.json").kind == ErrorKind::artifact);
  CHECK(asked("web-20261123T090000Z.tar.gz").kind == ErrorKind::storage);
  CHECK(asked("web-" + time_text + ".drill.json").kind == ErrorKind::usage);
  CHECK(choose_by_file({fixture.backups(), artifact, true}).set.manifest_file == manifest);
}

TEST_CASE("the newest set is refused where a manifest that cannot be read may be newer") {
  BackupFixture fixture;
  CHECK(newest_set(catalogue_of(fixture)) == nullptr);
  CHECK(thrown_by([&] { choose_newest(fixture.session, "web"); }).kind == ErrorKind::config);
  CHECK(thrown_by([&] { choose_newest(fixture.session, "No Id"); }).kind == ErrorKind::usage);
  put_set(fixture, "web", noon, {{"", tar_content()}});
  write_file(fixture.path("web-20261123T110000Z.manifest.json"), "{}");
  CHECK(choose_newest(fixture.session, "web").set.manifest_file == manifest);
  write_file(fixture.path("web-20261123T130000Z.manifest.json"), "{}");
  write_file(fixture.path("web-20261123T140000Z.manifest.json"), "{}");
  const Thrown hidden = thrown_by([&] { choose_newest(fixture.session, "web"); });
  CHECK(hidden.kind == ErrorKind::artifact);
  CHECK(contains(hidden.message, "the newest manifest, web-20261123T140000Z.manifest.json: "));
}

}  // namespace bba::commands
