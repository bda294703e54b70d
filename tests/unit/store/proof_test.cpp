#include "bba/store/proof.hpp"

#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/commands/sets.hpp"

namespace bba::store {
namespace {

using namespace test;
using namespace std::chrono_literals;

const std::string manifest_file = store::manifest_name("web", noon);

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

void publish(World& world, const std::string& manifest) {
  publish_proof(world.session, store::OwnedDirectory::open_existing(world.backups()), manifest);
}

std::optional<Proof> read(const World& world) {
  return read_proof(world.proofs(), "web", ::geteuid());
}

}  // namespace

TEST_CASE("a proof says what a gate asks, and survives the way through its file") {
  World world;
  put_set(world, "web", noon - 1h, {{"", tar_content(2, 9'000)}});
  const auto manifest =
      put_set(world, "web", noon, {{"one", tar_content()}, {"two", sql_content()}},
              [](store::Manifest& one) {
                one.artifacts[0].found["changed_while_read"] = 2;
                one.artifacts[1].found["changed_while_read"] = 3;
                one.incomplete = {"bucket photos"};
              });
  publish(world, manifest_file);
  CHECK(world.reporter.warnings.empty());

  const auto proof = read(world);
  REQUIRE(proof.has_value());
  CHECK(proof->module == "web");
  CHECK(proof->module_class == "E");
  CHECK(proof->strategy == "mounted data archive");
  CHECK_FALSE(proof->fallback.has_value());
  CHECK(proof->changed_while_read == 5);
  CHECK(proof->incomplete == std::vector<std::string>{"bucket photos"});
  CHECK(proof->manifest == world.path(manifest_file));
  CHECK(proof->manifest_sha256 == sha256_of(read_file(world.path(manifest_file))));
  CHECK(proof->artifacts == std::vector{world.path(manifest.artifacts[0].file),
                                        world.path(manifest.artifacts[1].file)});
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
  CHECK(to_json(*proof) == *parse_json(read_file(world.proofs() + "/web.json")));
}

TEST_CASE("directory and file have the modes that others need, whatever the umask") {
  World world;
  put_set(world, "web", noon, {{"", tar_content()}});
  world.session.settings.proof_dir = world.temp / "a/b/proofs";
  const mode_t before = ::umask(077);
  publish(world, manifest_file);
  ::umask(before);
  CHECK(mode_of(world.temp / "a") == 0755);
  CHECK(mode_of(world.temp / "a/b/proofs") == 0755);
  CHECK(mode_of(world.temp / "a/b/proofs/web.json") == 0644);
  CHECK(names_in(world.temp / "a/b/proofs") == std::vector<std::string>{"web.json"});
}

TEST_CASE("only a drill of this very manifest makes it drilled") {
  World world;
  put_set(world, "web", noon, {{"", tar_content()}});
  const auto level = [&] {
    publish(world, manifest_file);
    return read(world)->level;
  };
  put_receipt(world, "web", noon);
  CHECK(level() == ProofLevel::drilled);
  // Edited since: the receipt is of another manifest.
  write_file(world.path(manifest_file), read_file(world.path(manifest_file)) + "\n");
  CHECK(level() == ProofLevel::verified);
}

TEST_CASE("a set that a drill disproved has no proof, until a drill passes") {
  World world;
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
  CHECK(read(world)->level == ProofLevel::drilled);
}

TEST_CASE("the proof is of the newest set, and of the directory that backups go to") {
  World world;
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

TEST_CASE("a backup that one of the future hides is told of, and the others are not") {
  World world;
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
  World world;
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
  World world;
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

TEST_CASE("a proof is believed only where nobody else could have written it") {
  World world;
  put_set(world, "web", noon, {{"", tar_content()}});
  CHECK_FALSE(read(world).has_value());
  publish(world, manifest_file);
  const std::string file = world.proofs() + "/web.json";
  const auto thrown = [&] { return thrown_by([&] { read(world); }); };
  REQUIRE_FALSE(thrown().kind.has_value());

  SUBCASE("modes") {
    for (const std::string& path : {file, world.proofs()}) {
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
    const Thrown wrong = thrown_by([&] { read_proof(world.proofs(), "web", other); });
    CHECK(wrong.kind == ErrorKind::gate);
    CHECK(contains(wrong.message, " belongs to user id"));
    if (::geteuid() == 0) {
      REQUIRE(::chown(file.c_str(), other, 0) == 0);
      CHECK(thrown().kind == ErrorKind::gate);
      CHECK(contains(thrown().message, file + " belongs to user id"));
    }
  }
  SUBCASE("a directory above it") {
    REQUIRE(::chmod(world.temp.path().c_str(), 0777) == 0);
    CHECK(thrown().kind == ErrorKind::gate);
    publish(world, manifest_file);
    CHECK(contains(world.reporter.warnings.at(0), "could not be written"));
    REQUIRE(::chmod(world.temp.path().c_str(), 0755) == 0);
    CHECK_FALSE(thrown().kind.has_value());
  }
  SUBCASE("a symlink") {
    std::filesystem::rename(file, world.temp / "elsewhere.json");
    std::filesystem::create_symlink(world.temp / "elsewhere.json", file);
    CHECK(thrown().kind == ErrorKind::gate);
  }
  SUBCASE("another module's") {
    std::filesystem::copy(file, world.proofs() + "/db.json");
    const Thrown wrong = thrown_by([&] { read_proof(world.proofs(), "db", ::geteuid()); });
    CHECK(wrong.kind == ErrorKind::artifact);
  }
}

TEST_CASE("a proof with any field missing or of another type is none") {
  World world;
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  const Json whole = *parse_json(read_file(world.proofs() + "/web.json"));
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
  World world;
  put_set(world, "web", noon, {{"", tar_content()}});
  publish(world, manifest_file);
  const std::string file = world.proofs() + "/web.json";
  Json old = *parse_json(read_file(file));
  old["schema"] = 1;
  for (const char* key : {"strategy", "fallback", "changed_while_read", "incomplete"}) {
    old.erase(key);
  }
  write_file(file, pretty_json(old));
  const Thrown thrown = thrown_by([&] { read(world); });
  CHECK(thrown.kind == ErrorKind::artifact);
  CHECK(contains(thrown.message, "older version"));

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

}  // namespace bba::store
