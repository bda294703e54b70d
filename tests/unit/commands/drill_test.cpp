// Drills of raft snapshots: they need no scratch container, so all that surrounds one shows here.
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

void put_snapshot(const BackupFixture& world, Timestamp time = noon) {
  put_set(world, "vault", time, {{"", snapshot_content()}},
          [](store::Manifest& manifest) { manifest.module_class = "C"; });
}

bool has_receipt(const BackupFixture& world) {
  return std::filesystem::exists(world.path(receipt_file));
}

}  // namespace

TEST_CASE("the receipt says what was compared, and what was not proven") {
  BackupFixture world;
  put_snapshot(world);
  const Drill done = drill(world.session, {"vault"});
  REQUIRE(done.lines.size() == 1);
  CHECK(contains(done.lines[0], "vault-20261123T120000Z.snap: index 4711, term 3"));
  CHECK(done.needs_hand.empty());
  CHECK(parse_json(read_file(world.path(receipt_file))) == done.receipt);
  struct stat status {};
  REQUIRE(::stat(world.path(receipt_file).c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);

  const Json& receipt = done.receipt;
  CHECK(receipt.at("schema") == 1);
  CHECK(receipt.at("module") == "vault");
  CHECK(receipt.at("class") == "C");
  CHECK(receipt.at("manifest") == "vault-20261123T120000Z.manifest.json");
  CHECK(receipt.at("manifest_sha256") ==
        sha256_of(read_file(world.path("vault-20261123T120000Z.manifest.json"))));
  CHECK(receipt.at("passed") == true);
  CHECK(receipt.at("compared")[0].at("index") == 4711);
  CHECK(contains(dump_json(receipt.at("not_proven")), "unseal keys"));

  const auto catalogue =
      store::read_catalogue(store::OwnedDirectory::open_existing(world.backups()), "vault");
  CHECK(store::is_drilled(catalogue.sets.at(0)));
  CHECK(catalogue.orphans.empty());
  const auto proof = store::read_proof(world.proofs(), "vault", ::geteuid());
  REQUIRE(proof);
  CHECK(proof->level == store::ProofLevel::drilled);
}

TEST_CASE("a second drill replaces the receipt, whatever stood there") {
  BackupFixture world;
  put_snapshot(world);
  write_file(world.path(receipt_file), "no receipt at all");
  const Drill done = drill(world.session, {"vault"});
  CHECK(parse_json(read_file(world.path(receipt_file))) == done.receipt);
  CHECK(names_in(world.backups()).size() == 3);
}

TEST_CASE("a module's newest set, a manifest, an artifact") {
  BackupFixture world;
  put_snapshot(world);
  put_snapshot(world, noon + 1h);
  const auto drilled = [&](const std::string& reference) {
    return drill(world.session, {reference}).receipt.at("manifest");
  };
  CHECK(drilled("vault") == "vault-20261123T130000Z.manifest.json");
  CHECK(drilled(world.path("vault-20261123T120000Z.manifest.json")) ==
        "vault-20261123T120000Z.manifest.json");
  CHECK(drilled("vault-20261123T120000Z.snap") == "vault-20261123T120000Z.manifest.json");
  // A copy of the directory: its receipt stands there.
  const std::string copy = world.temp / "copy";
  std::filesystem::copy(world.backups(), copy);
  std::filesystem::remove(copy + "/" + receipt_file);
  CHECK(drilled(copy + "/vault-20261123T120000Z.snap") == "vault-20261123T120000Z.manifest.json");
  CHECK(std::filesystem::exists(copy + "/" + receipt_file));
}

TEST_CASE("a reference that means no set") {
  BackupFixture world;
  put_snapshot(world);
  const auto kind_of = [&](const std::string& reference) {
    return thrown_by([&] { drill(world.session, {reference}); }).kind;
  };
  CHECK(kind_of("nobody") == ErrorKind::config);
  CHECK(kind_of("No Id") == ErrorKind::usage);
  CHECK(kind_of(world.path("readme.txt")) == ErrorKind::usage);
  CHECK(kind_of(world.path("vault-20261123T110000Z.snap")) == ErrorKind::storage);
  write_file(world.path("vault-20261123T110000Z.snap"), "x");
  CHECK(kind_of(world.path("vault-20261123T110000Z.snap")) == ErrorKind::artifact);
  // Its time has a set, which knows nothing of it.
  write_file(world.path("vault-20261123T120000Z.more.tar.gz"), "x");
  CHECK(kind_of(world.path("vault-20261123T120000Z.more.tar.gz")) == ErrorKind::artifact);
  CHECK_FALSE(has_receipt(world));
  // What cannot be read may be a newer backup: the older one does not stand for it.
  write_file(world.path("vault-20261123T130000Z.manifest.json"), "{}");
  CHECK(kind_of("vault") == ErrorKind::artifact);
  CHECK(kind_of("vault-20261123T130000Z.manifest.json") == ErrorKind::artifact);
  CHECK(kind_of("vault-20261123T120000Z.manifest.json") == std::nullopt);
}

TEST_CASE("a set that does not pass verify is not drilled, and loses its proof") {
  BackupFixture world;
  put_snapshot(world);
  drill(world.session, {"vault"});
  const std::string artifact = world.path("vault-20261123T120000Z.snap");
  write_file(artifact, read_file(artifact) + "x");
  const Thrown broken = thrown_by([&] { drill(world.session, {"vault"}); });
  CHECK(broken.kind == ErrorKind::artifact);
  CHECK(contains(broken.hint, "not pass verify"));
  CHECK_FALSE(store::read_proof(world.proofs(), "vault", ::geteuid()));
}

TEST_CASE("what needs a container says so where there is no engine") {
  BackupFixture world;
  put_set(world, "kuma", noon, {{"", tar_content()}});
  const Thrown thrown = thrown_by([&] { drill(world.session, {"kuma"}); });
  CHECK(thrown.kind == ErrorKind::engine);
  CHECK(names_in(world.backups()).size() == 2);
}

TEST_CASE("another run of the module, and a request to stop") {
  BackupFixture world;
  put_snapshot(world);
  {
    const store::ModuleLock lock(world.state(), "vault");
    CHECK(thrown_by([&] { drill(world.session, {"vault"}); }).kind == ErrorKind::busy);
  }
  world.stop.request(SIGTERM);
  CHECK(thrown_by([&] { drill(world.session, {"vault"}); }).kind == ErrorKind::terminated);
  CHECK_FALSE(has_receipt(world));
}

}  // namespace bba::commands
