#include "bba/store/proof.hpp"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/sets.hpp"

namespace bba::store {
namespace {

using namespace test;
using namespace std::chrono_literals;

const std::string manifest_file = manifest_name("web", noon);

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

// Publishes the newest set's proof as a command does, in `proofs` or else in the fixture's
// directory.
void publish(const SetDirectory& fixture, const std::string& proofs = {}) {
  const OwnedDirectory directory = OwnedDirectory::open_existing(fixture.backups());
  write_proof(proofs.empty() ? fixture.proofs() : proofs,
              proof_of(directory, read_catalogue(directory, "web").sets, 0, now()));
}

std::optional<Proof> read(const SetDirectory& fixture) {
  return read_proof(fixture.proofs(), "web", ::geteuid());
}

}  // namespace

TEST_CASE("a proof says what a gate asks, and is read back from its file as it was written") {
  SetDirectory fixture;
  put_set(fixture, "web", noon - 1h, {{"", tar_content(2, 9'000)}});
  const auto manifest = put_set(
      fixture, "web", noon, {{"one", tar_content()}, {"two", sql_content()}}, [](Manifest& one) {
        one.artifacts[0].found["changed_while_read"] = 2;
        one.artifacts[1].found["changed_while_read"] = 3;
        one.incomplete = {"bucket photos"};
      });
  publish(fixture);

  const auto proof = read(fixture);
  REQUIRE(proof.has_value());
  CHECK(proof->module == "web");
  CHECK(proof->module_class == "E");
  CHECK(proof->strategy == "mounted data archive");
  CHECK_FALSE(proof->fallback.has_value());
  CHECK(proof->changed_while_read == 5);
  CHECK(proof->incomplete == std::vector<std::string>{"bucket photos"});
  CHECK(proof->manifest == fixture.path(manifest_file));
  CHECK(proof->manifest_sha256 == sha256_of(read_file(fixture.path(manifest_file))));
  CHECK(proof->artifacts == std::vector{fixture.path(manifest.artifacts[0].file),
                                        fixture.path(manifest.artifacts[1].file)});
  CHECK(proof->bytes == manifest.artifacts[0].bytes + manifest.artifacts[1].bytes);
  CHECK(proof->content_bytes == content_bytes(manifest));
  CHECK(proof->content_bytes_before ==
        std::vector<std::uint64_t>{tar_content(2, 9'000).bytes.size()});
  CHECK(proof->started == noon);
  CHECK(proof->finished == noon);
  CHECK(proof->level == ProofLevel::verified);
  CHECK(proof->host == "here");
  CHECK(proof->container_id == "c0ffee");
  CHECK(proof->image_id == "sha256:aaaa");
  CHECK(to_json(*proof) == *parse_json(read_file(fixture.proofs() + "/web.json")));
}

TEST_CASE("directory and file have the modes that others need, whatever the umask") {
  SetDirectory fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  const mode_t before = ::umask(077);
  publish(fixture, fixture.temp / "a/b/proofs");
  ::umask(before);
  CHECK(mode_of(fixture.temp / "a") == 0755);
  CHECK(mode_of(fixture.temp / "a/b/proofs") == 0755);
  CHECK(mode_of(fixture.temp / "a/b/proofs/web.json") == 0644);
  CHECK(names_in(fixture.temp / "a/b/proofs") == std::vector<std::string>{"web.json"});
}

TEST_CASE("only a drill of this exact manifest marks it as drilled") {
  SetDirectory fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  const auto level = [&] {
    publish(fixture);
    return read(fixture)->level;
  };
  put_receipt(fixture, "web", noon);
  CHECK(level() == ProofLevel::drilled);
  // Edited since: the receipt is of another manifest.
  write_file(fixture.path(manifest_file), read_file(fixture.path(manifest_file)) + "\n");
  CHECK(level() == ProofLevel::verified);
}

TEST_CASE("a proof is believed only where nobody else can have written it") {
  SetDirectory fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  CHECK_FALSE(read(fixture).has_value());
  publish(fixture);
  const std::string file = fixture.proofs() + "/web.json";
  const auto thrown = [&] { return thrown_by([&] { read(fixture); }); };
  REQUIRE_FALSE(thrown().kind.has_value());

  SUBCASE("modes") {
    for (const std::string& path : {file, fixture.proofs()}) {
      const unsigned good = mode_of(path);
      for (const unsigned bit : {0020u, 0002u}) {
        REQUIRE(::chmod(path.c_str(), good | bit) == 0);
        CHECK(thrown().kind == ErrorKind::gate);
        CHECK(contains(thrown().message, path + " can be written by others"));
        CHECK(thrown().hint == "chmod go-w " + path);
      }
      REQUIRE(::chmod(path.c_str(), good) == 0);
    }
    CHECK_FALSE(thrown().kind.has_value());
  }
  SUBCASE("owners") {
    const uid_t other = ::geteuid() + 4711;
    const Thrown wrong = thrown_by([&] { read_proof(fixture.proofs(), "web", other); });
    CHECK(wrong.kind == ErrorKind::gate);
    CHECK(contains(wrong.message, " belongs to user id"));
    if (::geteuid() == 0) {
      REQUIRE(::chown(file.c_str(), other, 0) == 0);
      CHECK(thrown().kind == ErrorKind::gate);
      CHECK(contains(thrown().message, file + " belongs to user id"));
    }
  }
  SUBCASE("a directory above it") {
    REQUIRE(::chmod(fixture.temp.path().c_str(), 0777) == 0);
    CHECK(thrown().kind == ErrorKind::gate);
    CHECK(thrown_by([&] { publish(fixture); }).kind == ErrorKind::storage);
    REQUIRE(::chmod(fixture.temp.path().c_str(), 0755) == 0);
    CHECK_FALSE(thrown().kind.has_value());
  }
  SUBCASE("a symlink") {
    std::filesystem::rename(file, fixture.temp / "elsewhere.json");
    std::filesystem::create_symlink(fixture.temp / "elsewhere.json", file);
    CHECK(thrown().kind == ErrorKind::gate);
  }
  SUBCASE("another module's") {
    std::filesystem::copy(file, fixture.proofs() + "/db.json");
    const Thrown wrong = thrown_by([&] { read_proof(fixture.proofs(), "db", ::geteuid()); });
    CHECK(wrong.kind == ErrorKind::artifact);
  }
}

TEST_CASE("a proof with a field that is missing or of another type is refused") {
  SetDirectory fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture);
  const Json whole = *parse_json(read_file(fixture.proofs() + "/web.json"));
  REQUIRE_FALSE(thrown_by([&] { proof_from_json(dump_json(whole)); }).kind.has_value());
  for (const auto& [key, value] : whole.items()) {
    CAPTURE(key);
    Json less = whole;
    less.erase(key);
    const Thrown missing = thrown_by([&] { proof_from_json(dump_json(less)); });
    CHECK(missing.kind == ErrorKind::artifact);
    CHECK(contains(missing.message, key));
    Json other = whole;
    other[key] = Json::array({Json::object()});
    CHECK(thrown_by([&] { proof_from_json(dump_json(other)); }).kind == ErrorKind::artifact);
  }
  Json newer = whole;
  newer["schema"] = 3;
  CHECK(contains(thrown_by([&] { proof_from_json(dump_json(newer)); }).message, "another version"));
  Json fallback = whole;
  fallback["fallback"] = "no snapshot, as it is sealed";
  CHECK(proof_from_json(dump_json(fallback)).fallback == "no snapshot, as it is sealed");
  CHECK(thrown_by([&] { proof_from_json("no"); }).kind == ErrorKind::artifact);
}

TEST_CASE("a proof of an older version is not believed, and can be replaced and withdrawn") {
  SetDirectory fixture;
  put_set(fixture, "web", noon, {{"", tar_content()}});
  publish(fixture);
  const std::string file = fixture.proofs() + "/web.json";
  Json old = *parse_json(read_file(file));
  old["schema"] = 1;
  for (const char* key : {"strategy", "fallback", "changed_while_read", "incomplete"}) {
    old.erase(key);
  }
  write_file(file, pretty_json(old));
  const Thrown thrown = thrown_by([&] { read(fixture); });
  CHECK(thrown.kind == ErrorKind::artifact);
  CHECK(contains(thrown.message, "older version"));

  SUBCASE("withdrawn only for its own set") {
    CHECK_FALSE(remove_proof(fixture.proofs(), "web", manifest_name("web", noon - 1h)));
    CHECK(std::filesystem::exists(file));
    CHECK(remove_proof(fixture.proofs(), "web", manifest_file));
    CHECK_FALSE(std::filesystem::exists(file));
    CHECK_FALSE(remove_proof(fixture.proofs(), "web", manifest_file));
  }
  SUBCASE("replaced") {
    publish(fixture);
    CHECK(read(fixture)->strategy == "mounted data archive");
  }
}

}  // namespace bba::store
