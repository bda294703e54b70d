// Drills of raft snapshots: they need no scratch container, so everything around one is tested
// here.
#include "bba/commands/drill.hpp"

#include <filesystem>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "bba/store/lock.hpp"
#include "bba/store/proof.hpp"
#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;

constexpr const char* receipt_file = "vault-20261123T120000Z.drill.json";

void put_snapshot(const BackupFixture& fixture, Timestamp time = noon) {
  put_set(fixture, "vault", time, {{"", snapshot_content()}},
          [](store::Manifest& manifest) { manifest.module_class = "C"; });
}

bool has_receipt(const BackupFixture& fixture) {
  return std::filesystem::exists(fixture.path(receipt_file));
}

}  // namespace

TEST_CASE("the receipt says what was compared, and what was not proven") {
  BackupFixture fixture;
  put_snapshot(fixture);
  const Drill done = drill(fixture.session, {"vault"});
  REQUIRE(done.lines.size() == 1);
  CHECK(contains(done.lines[0], "vault-20261123T120000Z.snap: index 4711, term 3"));
  CHECK(done.needs_hand.empty());
  CHECK(parse_json(read_file(fixture.path(receipt_file))) == done.receipt);
  struct stat status {};
  REQUIRE(::stat(fixture.path(receipt_file).c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);

  const Json& receipt = done.receipt;
  CHECK(receipt.at("schema") == 1);
  CHECK(receipt.at("module") == "vault");
  CHECK(receipt.at("class") == "C");
  CHECK(receipt.at("manifest") == "vault-20261123T120000Z.manifest.json");
  CHECK(receipt.at("manifest_sha256") ==
        sha256_of(read_file(fixture.path("vault-20261123T120000Z.manifest.json"))));
  CHECK(receipt.at("passed") == true);
  CHECK(receipt.at("compared")[0].at("index") == 4711);
  CHECK(contains(dump_json(receipt.at("not_proven")), "unseal keys"));

  const auto catalogue =
      store::read_catalogue(store::OwnedDirectory::open_existing(fixture.backups()), "vault");
  CHECK(store::is_drilled(catalogue.sets.at(0)));
  CHECK(catalogue.orphans.empty());
  const auto proof = store::read_proof(fixture.proofs(), "vault", ::geteuid());
  REQUIRE(proof);
  CHECK(proof->level == store::ProofLevel::drilled);
}

TEST_CASE("a second drill replaces the receipt, whatever stood there") {
  BackupFixture fixture;
  put_snapshot(fixture);
  write_file(fixture.path(receipt_file), "no receipt at all");
  const Drill done = drill(fixture.session, {"vault"});
  CHECK(parse_json(read_file(fixture.path(receipt_file))) == done.receipt);
  CHECK(names_in(fixture.backups()).size() == 3);
}

TEST_CASE("a drill takes a module's newest set, a manifest or an artifact") {
  BackupFixture fixture;
  put_snapshot(fixture);
  put_snapshot(fixture, noon + 1h);
  const auto drilled = [&](const std::string& reference) {
    return drill(fixture.session, {reference}).receipt.at("manifest");
  };
  CHECK(drilled("vault") == "vault-20261123T130000Z.manifest.json");
  CHECK(drilled(fixture.path("vault-20261123T120000Z.manifest.json")) ==
        "vault-20261123T120000Z.manifest.json");
  CHECK(drilled("vault-20261123T120000Z.snap") == "vault-20261123T120000Z.manifest.json");
  // A copy of the directory: its receipt is written there.
  const std::string copy = fixture.temp / "copy";
  std::filesystem::copy(fixture.backups(), copy);
  std::filesystem::remove(copy + "/" + receipt_file);
  CHECK(drilled(copy + "/vault-20261123T120000Z.snap") == "vault-20261123T120000Z.manifest.json");
  CHECK(std::filesystem::exists(copy + "/" + receipt_file));
}

TEST_CASE("a reference that means no set is an error") {
  BackupFixture fixture;
  put_snapshot(fixture);
  const auto kind_of = [&](const std::string& reference) {
    return thrown_by([&] { drill(fixture.session, {reference}); }).kind;
  };
  CHECK(kind_of("nobody") == ErrorKind::config);
  CHECK(kind_of("No Id") == ErrorKind::usage);
  CHECK(kind_of(fixture.path("readme.txt")) == ErrorKind::usage);
  CHECK(kind_of(fixture.path("vault-20261123T110000Z.snap")) == ErrorKind::storage);
  write_file(fixture.path("vault-20261123T110000Z.snap"), "x");
  CHECK(kind_of(fixture.path("vault-20261123T110000Z.snap")) == ErrorKind::artifact);
  // There is a set of its time, which does not contain it.
  write_file(fixture.path("vault-20261123T120000Z.more.tar.gz"), "x");
  CHECK(kind_of(fixture.path("vault-20261123T120000Z.more.tar.gz")) == ErrorKind::artifact);
  CHECK_FALSE(has_receipt(fixture));
  // What cannot be read may be a newer backup, so the older one is not used in its place.
  write_file(fixture.path("vault-20261123T130000Z.manifest.json"), "{}");
  CHECK(kind_of("vault") == ErrorKind::artifact);
  CHECK(kind_of("vault-20261123T130000Z.manifest.json") == ErrorKind::artifact);
  CHECK(kind_of("vault-20261123T120000Z.manifest.json") == std::nullopt);
}

TEST_CASE("a set that does not pass verify is not drilled, and loses its proof") {
  BackupFixture fixture;
  put_snapshot(fixture);
  drill(fixture.session, {"vault"});
  const std::string artifact = fixture.path("vault-20261123T120000Z.snap");
  write_file(artifact, read_file(artifact) + "x");
  const Thrown broken = thrown_by([&] { drill(fixture.session, {"vault"}); });
  CHECK(broken.kind == ErrorKind::artifact);
  CHECK(contains(broken.hint, "not pass verify"));
  CHECK_FALSE(store::read_proof(fixture.proofs(), "vault", ::geteuid()));
}

TEST_CASE("a drill that needs a container says so where there is no engine") {
  BackupFixture fixture;
  put_set(fixture, "kuma", noon, {{"", tar_content()}});
  const Thrown thrown = thrown_by([&] { drill(fixture.session, {"kuma"}); });
  CHECK(thrown.kind == ErrorKind::engine);
  CHECK(names_in(fixture.backups()).size() == 2);
}

TEST_CASE("another run of the module, or a request to stop, prevents a drill") {
  BackupFixture fixture;
  put_snapshot(fixture);
  {
    const store::ModuleLock lock(fixture.state(), "vault");
    CHECK(thrown_by([&] { drill(fixture.session, {"vault"}); }).kind == ErrorKind::busy);
  }
  fixture.stop.request(SIGTERM);
  CHECK(thrown_by([&] { drill(fixture.session, {"vault"}); }).kind == ErrorKind::terminated);
  CHECK_FALSE(has_receipt(fixture));
}

}  // namespace bba::commands
