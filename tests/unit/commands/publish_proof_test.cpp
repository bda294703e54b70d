#include "commands/publish_proof.hpp"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/session.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;

const std::string manifest_file = store::manifest_name("web", noon);

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

void publish(BackupFixture& fixture, const std::string& manifest) {
  publish_proof(fixture.session, store::OwnedDirectory::open_existing(fixture.backups()), manifest);
}

std::optional<store::Proof> read(const BackupFixture& fixture) {
  return store::read_proof(fixture.proofs(), "web", ::geteuid());
}

}  // namespace

TEST_CASE("a set that a drill disproved has no proof, until a drill passes") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture, manifest_file);
  REQUIRE(read(fixture).has_value());
  put_receipt(fixture, "web", noon, false);
  publish(fixture, manifest_file);
  CHECK_FALSE(read(fixture).has_value());
  REQUIRE(fixture.reporter.warnings.size() == 1);
  CHECK(contains(fixture.reporter.warnings[0], "a key is lost"));
  put_receipt(fixture, "web", noon);
  publish(fixture, manifest_file);
  CHECK(read(fixture)->level == store::ProofLevel::drilled);
}

TEST_CASE("the proof is of the newest set, and only for the directory that backups go to") {
  BackupFixture fixture;
  put_set(fixture, "web", noon - 1h, {{"", tar_content()}});
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture, store::manifest_name("web", noon - 1h));
  CHECK_FALSE(read(fixture).has_value());
  const std::string copy = fixture.temp / "copy";
  std::filesystem::copy(fixture.backups(), copy);
  publish_proof(fixture.session, store::OwnedDirectory::open_copy(copy), manifest_file);
  CHECK_FALSE(read(fixture).has_value());
  publish(fixture, manifest_file);
  CHECK(read(fixture)->started == noon);
}

TEST_CASE("no proof while a manifest that cannot be read may be newer") {
  BackupFixture fixture;
  put_set(fixture, "web", noon - 1h, {{"", tar_content()}});
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture, manifest_file);
  REQUIRE(read(fixture).has_value());
  const std::string newer = fixture.path(store::manifest_name("web", noon + 1h));
  write_file(newer, "{}");
  publish(fixture, store::manifest_name("web", noon - 1h));
  CHECK(fixture.reporter.warnings.empty());
  CHECK(read(fixture).has_value());
  publish(fixture, manifest_file);
  CHECK_FALSE(read(fixture).has_value());
  REQUIRE(fixture.reporter.warnings.size() == 1);
  CHECK(contains(fixture.reporter.warnings[0], store::manifest_name("web", noon + 1h)));
  std::filesystem::remove(newer);
  publish(fixture, manifest_file);
  CHECK(read(fixture).has_value());
}

TEST_CASE("a backup that one of the future hides is told of, and the others are not") {
  BackupFixture fixture;
  const Timestamp at = now();
  for (const auto ago : {2h, 1h, -1h}) put_set(fixture, "web", at - ago, {{"", tar_content()}});
  publish(fixture, store::manifest_name("web", at - 2h));
  publish(fixture, store::manifest_name("web", at + 1h));
  CHECK(fixture.reporter.warnings.empty());
  CHECK(read(fixture)->started == at + 1h);
  publish(fixture, store::manifest_name("web", at - 1h));
  CHECK(read(fixture)->started == at + 1h);
  REQUIRE(fixture.reporter.warnings.size() == 1);
  CHECK(fixture.reporter.warnings[0].starts_with(store::manifest_name("web", at - 1h)));
  CHECK(contains(fixture.reporter.warnings[0], store::manifest_name("web", at + 1h)));
}

TEST_CASE("a proof is withdrawn only for its own set") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture, manifest_file);
  const auto directory = store::OwnedDirectory::open_existing(fixture.backups());
  withdraw_proof(fixture.session, directory, store::manifest_name("web", noon - 1h));
  CHECK(read(fixture).has_value());
  withdraw_proof(fixture.session, directory, manifest_file);
  CHECK_FALSE(read(fixture).has_value());
  withdraw_proof(fixture.session, directory, manifest_file);
  CHECK(fixture.reporter.warnings.empty());
}

TEST_CASE("a proof that cannot be written is a warning, not a failure") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  SUBCASE("a file is in the directory's place") {
    write_file(fixture.proofs(), "a file");
  }
  SUBCASE("others can write to the directory") {
    std::filesystem::create_directory(fixture.proofs());
    ::chmod(fixture.proofs().c_str(), 0777);
  }
  publish(fixture, manifest_file);
  REQUIRE(fixture.reporter.warnings.size() == 1);
  CHECK(contains(fixture.reporter.warnings[0], "the backup is good"));
}

TEST_CASE("a proof of an older version can be replaced and withdrawn") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture, manifest_file);
  const std::string file = fixture.proofs() + "/web.json";
  Json old = *parse_json(read_file(file));
  old["schema"] = 1;
  for (const char* key : {"strategy", "fallback", "changed_while_read", "incomplete"}) {
    old.erase(key);
  }
  write_file(file, pretty_json(old));
  const auto directory = store::OwnedDirectory::open_existing(fixture.backups());
  SUBCASE("withdrawn only for its own set") {
    withdraw_proof(fixture.session, directory, store::manifest_name("web", noon - 1h));
    CHECK(std::filesystem::exists(file));
    withdraw_proof(fixture.session, directory, manifest_file);
    CHECK_FALSE(std::filesystem::exists(file));
  }
  SUBCASE("replaced") {
    publish(fixture, manifest_file);
    CHECK(read(fixture)->strategy == "mounted data archive");
  }
  CHECK(fixture.reporter.warnings.empty());
}

TEST_CASE("a proof that no gate would believe is not written, and there is a warning") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  REQUIRE(::chmod(fixture.temp.path().c_str(), 0777) == 0);
  publish(fixture, manifest_file);
  CHECK(contains(fixture.reporter.warnings.at(0), "could not be written"));
  REQUIRE(::chmod(fixture.temp.path().c_str(), 0755) == 0);
}

TEST_CASE("a good set is published without a warning, whatever the umask") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  const mode_t before = ::umask(077);
  publish(fixture, manifest_file);
  ::umask(before);
  CHECK(fixture.reporter.warnings.empty());
  CHECK(mode_of(fixture.proofs() + "/web.json") == 0644);
}

TEST_CASE("a safety set gets no public proof, and takes none away") {
  BackupFixture fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  const std::string safety_set = store::manifest_name("web", noon + 1h);
  put_set(fixture, "web", noon + 1h, {{"", tar_content()}}, as_safety_set);
  publish(fixture, safety_set);
  CHECK_FALSE(read(fixture).has_value());
  publish(fixture, manifest_file);
  CHECK(read(fixture)->started == noon);
  publish(fixture, safety_set);
  CHECK(read(fixture)->started == noon);
  CHECK(fixture.reporter.warnings.empty());
}

}  // namespace bba::commands
