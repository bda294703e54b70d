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

void publish(BackupFixture& world, const std::string& manifest) {
  publish_proof(world.session, store::OwnedDirectory::open_existing(world.backups()), manifest);
}

std::optional<store::Proof> read(const BackupFixture& world) {
  return store::read_proof(world.proofs(), "web", ::geteuid());
}

}  // namespace

TEST_CASE("a set that a drill disproved has no proof, until a drill passes") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  REQUIRE(read(world).has_value());
  put_receipt(world, "web", noon, false);
  publish(world, manifest_file);
  CHECK_FALSE(read(world).has_value());
  REQUIRE(world.reporter.warnings.size() == 1);
  CHECK(contains(world.reporter.warnings[0], "a key is lost"));
  put_receipt(world, "web", noon);
  publish(world, manifest_file);
  CHECK(read(world)->level == store::ProofLevel::drilled);
}

TEST_CASE("the proof is of the newest set, and of the directory that backups go to") {
  BackupFixture world;
  put_set(world, "web", noon - 1h, {{"", tar_content()}});
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, store::manifest_name("web", noon - 1h));
  CHECK_FALSE(read(world).has_value());
  const std::string copy = world.temp / "copy";
  std::filesystem::copy(world.backups(), copy);
  publish_proof(world.session, store::OwnedDirectory::open_copy(copy), manifest_file);
  CHECK_FALSE(read(world).has_value());
  publish(world, manifest_file);
  CHECK(read(world)->started == noon);
}

TEST_CASE("no proof while a manifest that cannot be read may be newer") {
  BackupFixture world;
  put_set(world, "web", noon - 1h, {{"", tar_content()}});
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  REQUIRE(read(world).has_value());
  const std::string newer = world.path(store::manifest_name("web", noon + 1h));
  write_file(newer, "{}");
  publish(world, store::manifest_name("web", noon - 1h));
  CHECK(world.reporter.warnings.empty());
  CHECK(read(world).has_value());
  publish(world, manifest_file);
  CHECK_FALSE(read(world).has_value());
  REQUIRE(world.reporter.warnings.size() == 1);
  CHECK(contains(world.reporter.warnings[0], store::manifest_name("web", noon + 1h)));
  std::filesystem::remove(newer);
  publish(world, manifest_file);
  CHECK(read(world).has_value());
}

TEST_CASE("a backup that one of the future hides is told of, and the others are not") {
  BackupFixture world;
  const Timestamp at = now();
  for (const auto ago : {2h, 1h, -1h}) put_set(world, "web", at - ago, {{"", tar_content()}});
  publish(world, store::manifest_name("web", at - 2h));
  publish(world, store::manifest_name("web", at + 1h));
  CHECK(world.reporter.warnings.empty());
  CHECK(read(world)->started == at + 1h);
  publish(world, store::manifest_name("web", at - 1h));
  CHECK(read(world)->started == at + 1h);
  REQUIRE(world.reporter.warnings.size() == 1);
  CHECK(world.reporter.warnings[0].starts_with(store::manifest_name("web", at - 1h)));
  CHECK(contains(world.reporter.warnings[0], store::manifest_name("web", at + 1h)));
}

TEST_CASE("a proof is withdrawn for its own set alone") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  const auto directory = store::OwnedDirectory::open_existing(world.backups());
  withdraw_proof(world.session, directory, store::manifest_name("web", noon - 1h));
  CHECK(read(world).has_value());
  withdraw_proof(world.session, directory, manifest_file);
  CHECK_FALSE(read(world).has_value());
  withdraw_proof(world.session, directory, manifest_file);
  CHECK(world.reporter.warnings.empty());
}

TEST_CASE("a proof that cannot be written is a warning, not a failure") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  SUBCASE("the directory's place is taken") {
    write_file(world.proofs(), "a file");
  }
  SUBCASE("others can write to the directory") {
    std::filesystem::create_directory(world.proofs());
    ::chmod(world.proofs().c_str(), 0777);
  }
  publish(world, manifest_file);
  REQUIRE(world.reporter.warnings.size() == 1);
  CHECK(contains(world.reporter.warnings[0], "the backup is good"));
}

TEST_CASE("a proof of an older version can be replaced and withdrawn") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  const std::string file = world.proofs() + "/web.json";
  Json old = *parse_json(read_file(file));
  old["schema"] = 1;
  for (const char* key : {"strategy", "fallback", "changed_while_read", "incomplete"}) {
    old.erase(key);
  }
  write_file(file, pretty_json(old));
  const auto directory = store::OwnedDirectory::open_existing(world.backups());
  SUBCASE("withdrawn for its own set alone") {
    withdraw_proof(world.session, directory, store::manifest_name("web", noon - 1h));
    CHECK(std::filesystem::exists(file));
    withdraw_proof(world.session, directory, manifest_file);
    CHECK_FALSE(std::filesystem::exists(file));
  }
  SUBCASE("replaced") {
    publish(world, manifest_file);
    CHECK(read(world)->strategy == "mounted data archive");
  }
  CHECK(world.reporter.warnings.empty());
}

TEST_CASE("a proof that no gate would believe is not written, with a warning") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  REQUIRE(::chmod(world.temp.path().c_str(), 0777) == 0);
  publish(world, manifest_file);
  CHECK(contains(world.reporter.warnings.at(0), "could not be written"));
  REQUIRE(::chmod(world.temp.path().c_str(), 0755) == 0);
}

TEST_CASE("a good set is published without a word, whatever the umask") {
  BackupFixture world;
  put_set(world, "web", noon, {{"", tar_content()}});
  const mode_t before = ::umask(077);
  publish(world, manifest_file);
  ::umask(before);
  CHECK(world.reporter.warnings.empty());
  CHECK(mode_of(world.proofs() + "/web.json") == 0644);
}

}  // namespace bba::commands
