#include "bba/commands/prune/prune.hpp"

#include <filesystem>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/store/catalogue.hpp"
#include "bba/store/lock.hpp"
#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

std::string manifest_at(std::chrono::hours ago, const std::string& module = "web") {
  return store::manifest_name(module, noon - ago);
}

// Sets of `module`, so many hours ago.
void put_sets(const BackupFixture& world, const std::string& module,
              std::initializer_list<std::chrono::hours> ages) {
  for (const auto ago : ages) put_set(world, module, noon - ago, {{"", tar_content(1, 1'000)}});
}

void damage(const BackupFixture& world, std::chrono::hours ago, const std::string& module = "web") {
  const std::string file = store::artifact_name(module, noon - ago, "", "tar.gz");
  std::string bytes = read_file(world.path(file));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(world.path(file), bytes);
}

PruneRequest keep_last(std::size_t count, const std::string& module = {}) {
  PruneRequest request;
  request.module = module;
  request.keep_last = count;
  request.at = noon;
  return request;
}

Names left(const BackupFixture& world) {
  Names manifests;
  for (const std::string& name : names_in(world.backups())) {
    if (name.ends_with(".manifest.json")) manifests.push_back(name);
  }
  return manifests;
}

store::Catalogue catalogue(const BackupFixture& world) {
  return store::read_catalogue(store::OwnedDirectory::open_existing(world.backups()));
}

}  // namespace

TEST_CASE("the last ones are kept, by module, and nothing of the others is left") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  put_sets(world, "db", {5h, 6h});
  put_receipt(world, "web", noon - 3h);
  std::vector<std::string> removed;
  PruneRequest request = keep_last(1);
  request.removed = [&](const std::string& file) { removed.push_back(file); };
  const Pruning pruning = prune(world.session, request);
  CHECK(left(world) == Names{manifest_at(5h, "db"), manifest_at(1h)});
  CHECK(names_in(world.backups()).size() == 4);
  CHECK(catalogue(world).orphans.empty());
  REQUIRE(pruning.sets.size() == 5);
  CHECK(pruning.sets[0].kept);
  CHECK(pruning.sets[0].why == "one of the last 1");
  CHECK_FALSE(pruning.sets[1].kept);
  CHECK(removed.back() == "web-20261123T090000Z.tar.gz");
  CHECK(contains(pruning_text(pruning), "3 sets removed"));
  const Json json = pruning_json(pruning);
  CHECK(json["sets"][0]["module"] == "db");
  CHECK(json["sets"][0]["class"] == "E");
  CHECK(json["sets"][1]["kept"] == false);
}

TEST_CASE("what is young enough is kept; what one rule keeps is kept; one module is that module") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h, 4h});
  put_sets(world, "db", {5h, 6h});
  PruneRequest request;
  request.module = "web";
  request.keep_within = 2h;
  request.at = noon;
  prune(world.session, request);
  CHECK(left(world) ==
        Names{manifest_at(6h, "db"), manifest_at(5h, "db"), manifest_at(2h), manifest_at(1h)});
  put_sets(world, "web", {3h, 4h});
  request.keep_last = 3;
  prune(world.session, request);
  CHECK(left(world).size() == 5);
  CHECK(catalogue(world).sets.size() == 5);
}

TEST_CASE("the newest good set stays, whatever the rules say") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  SUBCASE("all are good") {
    prune(world.session, keep_last(0));
    CHECK(left(world) == Names{manifest_at(1h)});
  }
  SUBCASE("the newest are damaged") {
    damage(world, 1h);
    damage(world, 2h);
    PruneRequest request = keep_last(0);
    request.force = true;
    const Pruning pruning = prune(world.session, request);
    CHECK(left(world) == Names{manifest_at(3h)});
    CHECK(pruning.sets[2].why == "the newest good one");
  }
  SUBCASE("a drill has disproved the newest") {
    put_receipt(world, "web", noon - 1h, false);
    const Pruning pruning = prune(world.session, keep_last(0));
    CHECK(left(world) == Names{manifest_at(2h)});
    CHECK(pruning.sets[1].why == "the newest good one");
  }
  SUBCASE("a drill has disproved all of them") {
    for (const auto ago : {1h, 2h, 3h}) put_receipt(world, "web", noon - ago, false);
    const Pruning pruning = prune(world.session, keep_last(0));
    CHECK(left(world) == Names{manifest_at(1h)});
    CHECK(contains(pruning.sets[0].why, "though its drill failed"));
  }
  SUBCASE("the rules keep only damaged ones") {
    damage(world, 1h);
    prune(world.session, keep_last(1));
    CHECK(left(world) == Names{manifest_at(2h), manifest_at(1h)});
  }
  SUBCASE("a set that lacks an artifact is none of the last") {
    std::filesystem::remove(world.path("web-20261123T110000Z.tar.gz"));
    prune(world.session, keep_last(1));
    CHECK(left(world) == Names{manifest_at(2h), manifest_at(1h)});
  }
}

TEST_CASE("a set of the future stays, and pushes out none that is known to be new") {
  BackupFixture world;
  put_sets(world, "web", {-24h, 1h, 2h});
  const Pruning pruning = prune(world.session, keep_last(1));
  CHECK(left(world) == Names{manifest_at(1h), manifest_at(-24h)});
  CHECK(contains(pruning.sets[0].why, "in the future"));
  put_sets(world, "web", {2h});
  prune(world.session, keep_last(0));
  CHECK(left(world) == Names{manifest_at(1h), manifest_at(-24h)});
}

TEST_CASE("what fails verify is removed by force alone") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  damage(world, 2h);
  const Pruning pruning = prune(world.session, keep_last(1));
  CHECK(left(world) == Names{manifest_at(2h), manifest_at(1h)});
  CHECK(contains(pruning.sets[1].why, "--force"));
  PruneRequest request = keep_last(1);
  request.force = true;
  prune(world.session, request);
  CHECK(left(world) == Names{manifest_at(1h)});
}

TEST_CASE("a manifest that names another set's file does not take it along") {
  BackupFixture world;
  put_sets(world, "web", {1h});
  put_set(world, "web", noon - 2h, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.artifacts[0].file = "web-20261123T110000Z.tar.gz";
  });
  PruneRequest request = keep_last(1);
  request.force = true;
  prune(world.session, request);
  CHECK(left(world) == Names{manifest_at(1h)});
  CHECK(std::filesystem::exists(world.path("web-20261123T110000Z.tar.gz")));
}

TEST_CASE("sets that were taken as one go together or not at all") {
  BackupFixture world;
  const auto put_pair = [&](std::chrono::hours ago) {
    for (const auto& [module, other] : {std::pair{"web", "db"}, {"db", "web"}}) {
      put_set(world, module, noon - ago, {{"", tar_content(1, 1'000)}},
              [&, name = manifest_at(ago, other)](store::Manifest& manifest) {
                manifest.members = {name};
              });
    }
  };
  put_pair(1h);
  put_pair(2h);
  put_sets(world, "web", {3h});

  SUBCASE("both are old: asking for one takes both") {
    prune(world.session, keep_last(1, "web"));
    CHECK(left(world) == Names{manifest_at(1h, "db"), manifest_at(1h)});
  }
  SUBCASE("one of the two is damaged") {
    damage(world, 2h, "db");
    prune(world.session, keep_last(1, "web"));
    CHECK(left(world) ==
          Names{manifest_at(2h, "db"), manifest_at(1h, "db"), manifest_at(2h), manifest_at(1h)});
  }
  SUBCASE("one of the two is the other module's newest good one") {
    damage(world, 1h, "db");
    damage(world, 1h, "web");
    PruneRequest request = keep_last(0);
    request.force = true;
    prune(world.session, request);
    CHECK(left(world) == Names{manifest_at(2h, "db"), manifest_at(2h)});
  }
}

TEST_CASE("what a prune that was killed left of a set of several is not a set, and goes") {
  BackupFixture world;
  const auto put_half = [&](std::chrono::hours ago) {
    put_set(world, "web", noon - ago, {{"", tar_content(1, 1'000)}},
            [&](store::Manifest& manifest) { manifest.members = {manifest_at(ago, "db")}; });
  };
  put_half(1h);
  put_sets(world, "web", {2h, 3h});
  put_half(4h);
  const Pruning pruning = prune(world.session, keep_last(1));
  CHECK(left(world) == Names{manifest_at(2h)});
  CHECK(pruning.sets.size() == 4);
}

TEST_CASE("killed after any file, a prune leaves orphans and no manifest that lies") {
  // A manifest, its receipt, and two artifacts, for each of two sets that go.
  for (int step = 1; step <= 8; ++step) {
    CAPTURE(step);
    BackupFixture world;
    for (const auto ago : {1h, 2h, 3h}) {
      put_set(world, "web", noon - ago,
              {{"one", tar_content(1, 1'000)}, {"two", tar_content(2, 1'000)}});
      put_receipt(world, "web", noon - ago);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      int count = 0;
      PruneRequest request = keep_last(1);
      request.removed = [&](const std::string&) {
        if (++count == step) ::raise(SIGKILL);
      };
      prune(world.session, request);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(names_in(world.backups()).size() == static_cast<std::size_t>(12 - step));
    const store::Catalogue after = catalogue(world);
    for (const store::BackupSet& set : after.sets) CHECK(set.missing.empty());
    CHECK(after.sets.size() == (step <= 4 ? 2 : 1));
    // The next one goes on.
    prune(world.session, keep_last(1));
    CHECK(left(world) == Names{manifest_at(1h)});
  }
}

TEST_CASE(
    "orphans are removed where they are asked for, and what is left of a damaged set is not") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  put_sets(world, "db", {1h, 2h});
  put_receipt(world, "web", noon - 2h);
  // What a killed run leaves, and a killed prune.
  std::filesystem::remove(world.path(manifest_at(1h)));
  std::filesystem::remove(world.path(manifest_at(2h)));
  std::filesystem::remove(world.path(manifest_at(2h, "db")));
  write_file(world.path(".bba-0123456789abcdef.partial"), "half");
  write_file(world.path(manifest_at(3h)), "{ damaged");
  write_file(world.path("notes.txt"), "not ours");
  PruneRequest request;
  request.orphans = true;
  request.at = now() + 2h;  // the files' own time cannot be forged

  SUBCASE("all of them") {
    const Pruning pruning = prune(world.session, request);
    CHECK(names_in(world.backups()) ==
          Names{"db-20261123T110000Z.manifest.json", "db-20261123T110000Z.tar.gz", "notes.txt",
                "web-20261123T090000Z.manifest.json", "web-20261123T090000Z.tar.gz"});
    CHECK(pruning.sets.empty());
    REQUIRE(pruning.orphans.size() == 7);
    CHECK(pruning.orphans[0].file == ".bba-0123456789abcdef.partial");
    CHECK(pruning.orphans[0].bytes == 4);
    const std::string text = pruning_text(pruning);
    CHECK(contains(text, "0 sets and 5 orphans removed"));
    CHECK(contains(text, "kept      web-20261123T090000Z.tar.gz"));
    CHECK(contains(text, "worth a look: its manifest cannot be read"));
    const Json json = pruning_json(pruning);
    CHECK(json["orphans"][0]["kept"] == false);
    CHECK(json["orphans"][3]["kept"] == true);
  }
  SUBCASE("those of one module") {
    request.module = "db";
    const Pruning pruning = prune(world.session, request);
    REQUIRE(pruning.orphans.size() == 1);
    CHECK(pruning.orphans[0].file == "db-20261123T100000Z.tar.gz");
    CHECK(catalogue(world).orphans.size() == 6);
  }
  SUBCASE("none in a dry run, and none without being asked") {
    const Names before = names_in(world.backups());
    request.dry_run = true;
    CHECK(contains(pruning_text(prune(world.session, request)), "5 orphans would go"));
    CHECK(prune(world.session, keep_last(1)).orphans.empty());
    CHECK(names_in(world.backups()) == before);
  }
  SUBCASE("none that have just come: a manifest may follow") {
    request.at = now();
    const Pruning pruning = prune(world.session, request);
    CHECK(contains(pruning_text(pruning), "0 sets removed"));
    CHECK(pruning.orphans[0].why ==
          "not yet an hour here: a run was killed before it was complete");
    CHECK(catalogue(world).orphans.size() == 7);
  }
  SUBCASE("none while a run holds one of the modules: its set may be on its way") {
    const Names before = names_in(world.backups());
    const store::ModuleLock held(world.state(), "web");
    CHECK(thrown_by([&] { prune(world.session, request); }).kind == ErrorKind::busy);
    CHECK(names_in(world.backups()) == before);
  }
}

TEST_CASE("a dry run removes nothing, locks nothing, and says the same") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  damage(world, 3h);
  PruneRequest request = keep_last(1);
  request.dry_run = true;
  const Names before = names_in(world.backups());
  const Pruning dry = prune(world.session, request);
  CHECK(names_in(world.backups()) == before);
  CHECK_FALSE(std::filesystem::exists(world.state()));
  CHECK(contains(pruning_text(dry), "1 set would go"));
  request.dry_run = false;
  const Pruning wet = prune(world.session, request);
  REQUIRE(wet.sets.size() == dry.sets.size());
  for (std::size_t i = 0; i < wet.sets.size(); ++i) CHECK(wet.sets[i].kept == dry.sets[i].kept);
}

TEST_CASE("nothing is removed without a rule, or while another run holds one of the modules") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h});
  put_sets(world, "db", {1h, 2h});
  const Thrown no_rule = thrown_by([&] { prune(world.session, PruneRequest{}); });
  CHECK(no_rule.kind == ErrorKind::usage);
  CHECK(contains(no_rule.hint, "--keep-last"));
  {
    const store::ModuleLock held(world.state(), "web");
    CHECK(thrown_by([&] { prune(world.session, keep_last(1)); }).kind == ErrorKind::busy);
    CHECK(left(world).size() == 4);
    prune(world.session, keep_last(1, "db"));
    CHECK(left(world).size() == 3);
  }
  CHECK(thrown_by([&] { prune(world.session, keep_last(1, "../x")); }).kind == ErrorKind::config);
}

TEST_CASE("a time limit that was passed ends it before anything is removed") {
  BackupFixture world;
  put_sets(world, "web", {1h, 2h, 3h});
  world.stop.set_time_limit(0s);
  CHECK(thrown_by([&] { prune(world.session, keep_last(1)); }).kind == ErrorKind::timeout);
  CHECK(left(world).size() == 3);
  PruneRequest forced = keep_last(1);
  forced.force = true;
  CHECK(thrown_by([&] { prune(world.session, forced); }).kind == ErrorKind::timeout);
  CHECK(left(world).size() == 3);
}

}  // namespace bba::commands
