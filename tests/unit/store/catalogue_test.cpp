#include "bba/store/catalogue.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/store/support.hpp"

using namespace bba;
using namespace bba::store;
using namespace test;
using namespace std::chrono_literals;

namespace {

constexpr Timestamp day = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23};

Manifest manifest_of(const std::string& module, Timestamp time) {
  Manifest m;
  m.module = module;
  m.module_class = "E";
  m.started = m.finished = time;
  ArtifactRecord artifact;
  artifact.file = artifact_name(module, time, "", "tar.gz");
  artifact.compression = "gzip";
  artifact.sha256 = std::string(64, '0');
  m.artifacts.push_back(artifact);
  return m;
}

void put_manifest(const TempDir& temp, const Manifest& m) {
  write_file(temp / manifest_name(m.module, m.started), pretty_json(to_json(m)));
}

Manifest put_set(const TempDir& temp, const std::string& module, Timestamp time) {
  const Manifest m = manifest_of(module, time);
  write_file(temp / m.artifacts[0].file, "content");
  put_manifest(temp, m);
  return m;
}

Catalogue read(const TempDir& temp, const std::string& module = {}) {
  return read_catalogue(OwnedDirectory::open_existing(temp.path()), module);
}

std::vector<std::string> shown(const std::vector<Orphan>& orphans) {
  std::vector<std::string> lines;
  for (const Orphan& orphan : orphans) lines.push_back(orphan.file + ": " + orphan.why);
  return lines;
}

}  // namespace

TEST_CASE("an empty directory is an empty catalogue") {
  const TempDir temp;
  CHECK(read(temp).sets.empty());
  CHECK(read(temp).orphans.empty());
}

TEST_CASE("sets are listed by module, the newest first") {
  const TempDir temp;
  for (const std::string module : {"redis", "a-b", "a"}) {
    for (const auto hour : {2h, 11h, 1h}) put_set(temp, module, day + hour);
  }
  const Catalogue catalogue = read(temp);
  CHECK(shown(catalogue.orphans).empty());
  std::vector<std::string> order;
  for (const BackupSet& set : catalogue.sets) order.push_back(set.manifest_file);
  std::vector<std::string> wanted;
  for (const std::string module : {"a", "a-b", "redis"}) {
    for (const auto hour : {11h, 2h, 1h}) wanted.push_back(manifest_name(module, day + hour));
  }
  CHECK(order == wanted);
  const BackupSet& first = catalogue.sets[0];
  CHECK(first.manifest.module == "a");
  CHECK(first.manifest_text == read_file(temp / first.manifest_file));
  CHECK(first.missing.empty());
  CHECK_FALSE(first.receipt.has_value());
}

TEST_CASE("one module is that module, not one whose id starts with its name") {
  const TempDir temp;
  put_set(temp, "redis", day);
  put_set(temp, "redis-2", day);
  put_set(temp, "honcho-redis", day);
  write_file(temp / "honcho-redis-20250101T000000Z.tar.gz", "orphan");
  const Catalogue catalogue = read(temp, "redis");
  REQUIRE(catalogue.sets.size() == 1);
  CHECK(catalogue.sets[0].manifest.module == "redis");
  CHECK(catalogue.orphans.empty());
  CHECK(read(temp, "honcho-redis").orphans.size() == 1);
  CHECK(read(temp, "nothing").sets.empty());
}

TEST_CASE("an artifact without a manifest is an orphan, and so is a receipt") {
  const TempDir temp;
  put_set(temp, "redis", day);
  write_file(temp / "redis-20261123T010000Z.tar.gz", "x");
  write_file(temp / "redis-20261123T010000Z.drill.json", "{}");
  write_file(temp / "redis-20261123T000000Z.extra.tar.gz", "not in that manifest");
  const Catalogue catalogue = read(temp);
  CHECK(catalogue.sets.size() == 1);
  CHECK(shown(catalogue.orphans) ==
        std::vector<std::string>{"redis-20261123T000000Z.extra.tar.gz: no manifest names it",
                                 "redis-20261123T010000Z.drill.json: no manifest names it",
                                 "redis-20261123T010000Z.tar.gz: no manifest names it"});
}

TEST_CASE("a broken manifest is an orphan with its files, and the others are still read") {
  const TempDir temp;
  put_set(temp, "redis", day);
  write_file(temp / "vault-20261123T000000Z.manifest.json", "{\"schema\": 1");
  write_file(temp / "vault-20261123T000000Z.snap", "x");
  write_file(temp / "vault-20261123T000000Z.drill.json", "{}");
  write_file(temp / "vault-20261123T010000Z.manifest.json", R"({"schema": 2})");
  const Catalogue catalogue = read(temp);
  CHECK(catalogue.sets.size() == 1);
  CHECK(shown(catalogue.orphans) ==
        std::vector<std::string>{
            "vault-20261123T000000Z.drill.json: its manifest cannot be read: not JSON",
            "vault-20261123T000000Z.manifest.json: it cannot be read: not JSON",
            "vault-20261123T000000Z.snap: its manifest cannot be read: not JSON",
            "vault-20261123T010000Z.manifest.json: it cannot be read: was written by a newer "
            "version of backup-before-apply (schema 2; this version reads up to 1)"});
}

TEST_CASE("a manifest that is of another module, too large or not a file is an orphan") {
  const TempDir temp;
  write_file(temp / manifest_name("redis", day), pretty_json(to_json(manifest_of("vault", day))));
  REQUIRE(::mkfifo((temp / manifest_name("fifo", day)).c_str(), 0600) == 0);
  REQUIRE(::mkdir((temp / manifest_name("dir", day)).c_str(), 0700) == 0);
  std::filesystem::create_symlink("/etc/passwd", temp / manifest_name("link", day));
  write_file(temp / manifest_name("large", day), "{}");
  std::filesystem::resize_file(temp / manifest_name("large", day), (16 << 20) + 1);
  const Catalogue catalogue = read(temp);
  CHECK(catalogue.sets.empty());
  REQUIRE(catalogue.orphans.size() == 5);
  CHECK(catalogue.orphans[0].why.ends_with("not a regular file"));  // dir
  CHECK(catalogue.orphans[1].why.ends_with("not a regular file"));  // fifo
  CHECK(catalogue.orphans[2].why.ends_with("larger than 16.0 MiB"));
  CHECK(catalogue.orphans[3].why.ends_with("not a regular file"));
  CHECK(catalogue.orphans[4].why == "it cannot be read: it is of module vault, not of redis");
}

TEST_CASE("missing artifacts are named") {
  const TempDir temp;
  Manifest m = manifest_of("forgejo", day);
  ArtifactRecord second = m.artifacts[0];
  second.file = artifact_name("forgejo", day, "git", "tar.gz");
  m.artifacts.push_back(second);
  put_manifest(temp, m);
  write_file(temp / second.file, "x");
  const Catalogue catalogue = read(temp);
  REQUIRE(catalogue.sets.size() == 1);
  CHECK(catalogue.sets[0].missing == std::vector<std::string>{m.artifacts[0].file});
  CHECK(catalogue.orphans.empty());
}

TEST_CASE("the receipt of a drill belongs to its set; a broken one is an orphan") {
  const TempDir temp;
  put_set(temp, "redis", day);
  put_set(temp, "redis", day + 1h);
  put_set(temp, "redis", day + 2h);
  write_file(temp / receipt_name("redis", day), R"({"keys": 7})");
  write_file(temp / receipt_name("redis", day + 1h), "{");
  write_file(temp / receipt_name("redis", day + 2h), "[]");
  const Catalogue catalogue = read(temp);
  REQUIRE(catalogue.sets.size() == 3);
  CHECK_FALSE(catalogue.sets[0].receipt.has_value());
  CHECK_FALSE(catalogue.sets[1].receipt.has_value());
  CHECK(catalogue.sets[2].receipt == Json{{"keys", 7}});
  CHECK(shown(catalogue.orphans) ==
        std::vector<std::string>{
            "redis-20261123T010000Z.drill.json: it cannot be read: not a JSON object",
            "redis-20261123T020000Z.drill.json: it cannot be read: not a JSON object"});
}

TEST_CASE("files with other names are left out, and so are hidden ones") {
  const TempDir temp;
  for (const std::string file :
       {"README", "postgres.sql.gz", "lost+found", ".hidden", ".redis-20261123T000000Z.tar.gz",
        "Redis-20261123T000000Z.tar.gz", "redis-2026.tar.gz", ".bba-.partial"}) {
    write_file(temp / file, "x");
  }
  const Catalogue catalogue = read(temp);
  CHECK(catalogue.sets.empty());
  CHECK(shown(catalogue.orphans).empty());
}

TEST_CASE("the dot-file of a killed run is an orphan, that of a live one is not") {
  const TempDir temp;
  Child run([&]() -> std::string {
    fail_system_call(SYS_openat, EOPNOTSUPP, static_cast<unsigned>(O_TMPFILE));
    static const auto directory = OwnedDirectory::open_existing(temp.path());
    static ArtifactFile file(directory);
    file.write(as_bytes("half"));
    return names_in(temp.path()).at(0);
  });
  REQUIRE(is_partial_name(run.report()));
  CHECK(shown(read(temp).orphans).empty());
  run.kill();
  CHECK(shown(read(temp).orphans) ==
        std::vector<std::string>{run.report() + ": a run was killed before it was complete"});
  CHECK(shown(read(temp, "redis").orphans).empty());
}
