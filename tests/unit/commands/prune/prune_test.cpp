#include "bba/commands/prune/prune.hpp"

#include <filesystem>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/run/in_place_state.hpp"
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
void put_sets(const BackupFixture& fixture, const std::string& module,
              std::initializer_list<std::chrono::hours> ages) {
  for (const auto ago : ages) put_set(fixture, module, noon - ago, {{"", tar_content(1, 1'000)}});
}

void damage(const BackupFixture& fixture, std::chrono::hours ago,
            const std::string& module = "web") {
  const std::string file = store::artifact_name(module, noon - ago, "", "tar.gz");
  std::string bytes = read_file(fixture.path(file));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(fixture.path(file), bytes);
}

PruneRequest keep_last(std::size_t count, const std::string& module = {}) {
  PruneRequest request;
  request.module = module;
  request.keep_last = count;
  request.at = noon;
  return request;
}

Names left(const BackupFixture& fixture) {
  Names manifests;
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".manifest.json")) manifests.push_back(name);
  }
  return manifests;
}

store::Catalogue catalogue(const BackupFixture& fixture) {
  return store::read_catalogue(store::OwnedDirectory::open_existing(fixture.backups()));
}

}  // namespace

TEST_CASE("the last sets of each module are kept, and nothing of the others is left") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  put_sets(fixture, "db", {5h, 6h});
  put_receipt(fixture, "web", noon - 3h);
  std::vector<std::string> removed;
  PruneRequest request = keep_last(1);
  request.removed = [&](const std::string& file) { removed.push_back(file); };
  const Pruning pruning = prune(fixture.session, request);
  CHECK(left(fixture) == Names{manifest_at(5h, "db"), manifest_at(1h)});
  CHECK(names_in(fixture.backups()).size() == 4);
  CHECK(catalogue(fixture).orphans.empty());
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

TEST_CASE("a set that any rule keeps is kept, and pruning one module leaves the others alone") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h, 4h});
  put_sets(fixture, "db", {5h, 6h});
  PruneRequest request;
  request.module = "web";
  request.keep_within = 2h;
  request.at = noon;
  prune(fixture.session, request);
  CHECK(left(fixture) ==
        Names{manifest_at(6h, "db"), manifest_at(5h, "db"), manifest_at(2h), manifest_at(1h)});
  put_sets(fixture, "web", {3h, 4h});
  request.keep_last = 3;
  prune(fixture.session, request);
  CHECK(left(fixture).size() == 5);
  CHECK(catalogue(fixture).sets.size() == 5);
}

TEST_CASE("the newest good set stays, whatever the rules say") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  SUBCASE("all are good") {
    prune(fixture.session, keep_last(0));
    CHECK(left(fixture) == Names{manifest_at(1h)});
  }
  SUBCASE("the newest are damaged") {
    damage(fixture, 1h);
    damage(fixture, 2h);
    PruneRequest request = keep_last(0);
    request.force = true;
    const Pruning pruning = prune(fixture.session, request);
    CHECK(left(fixture) == Names{manifest_at(3h)});
    CHECK(pruning.sets[2].why == "the newest good one");
  }
  SUBCASE("a drill has disproved the newest") {
    put_receipt(fixture, "web", noon - 1h, false);
    const Pruning pruning = prune(fixture.session, keep_last(0));
    CHECK(left(fixture) == Names{manifest_at(2h)});
    CHECK(pruning.sets[1].why == "the newest good one");
  }
  SUBCASE("a drill has disproved all of them") {
    for (const auto ago : {1h, 2h, 3h}) put_receipt(fixture, "web", noon - ago, false);
    const Pruning pruning = prune(fixture.session, keep_last(0));
    CHECK(left(fixture) == Names{manifest_at(1h)});
    CHECK(contains(pruning.sets[0].why, "though its drill failed"));
  }
  SUBCASE("the rules keep only damaged ones") {
    damage(fixture, 1h);
    prune(fixture.session, keep_last(1));
    CHECK(left(fixture) == Names{manifest_at(2h), manifest_at(1h)});
  }
  SUBCASE("a set that lacks an artifact does not count as one of the last") {
    std::filesystem::remove(fixture.path("web-20261123T110000Z.tar.gz"));
    prune(fixture.session, keep_last(1));
    CHECK(left(fixture) == Names{manifest_at(2h), manifest_at(1h)});
  }
}

TEST_CASE("a set dated in the future stays, and does not push out one that is known to be new") {
  BackupFixture fixture;
  put_sets(fixture, "web", {-24h, 1h, 2h});
  const Pruning pruning = prune(fixture.session, keep_last(1));
  CHECK(left(fixture) == Names{manifest_at(1h), manifest_at(-24h)});
  CHECK(contains(pruning.sets[0].why, "in the future"));
  put_sets(fixture, "web", {2h});
  prune(fixture.session, keep_last(0));
  CHECK(left(fixture) == Names{manifest_at(1h), manifest_at(-24h)});
}

TEST_CASE("a set that fails verify is removed only by force") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  damage(fixture, 2h);
  const Pruning pruning = prune(fixture.session, keep_last(1));
  CHECK(left(fixture) == Names{manifest_at(2h), manifest_at(1h)});
  CHECK(contains(pruning.sets[1].why, "--force"));
  PruneRequest request = keep_last(1);
  request.force = true;
  prune(fixture.session, request);
  CHECK(left(fixture) == Names{manifest_at(1h)});
}

TEST_CASE("a manifest that names another set's file does not remove it") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h});
  put_set(fixture, "web", noon - 2h, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.artifacts[0].file = "web-20261123T110000Z.tar.gz";
  });
  PruneRequest request = keep_last(1);
  request.force = true;
  prune(fixture.session, request);
  CHECK(left(fixture) == Names{manifest_at(1h)});
  CHECK(std::filesystem::exists(fixture.path("web-20261123T110000Z.tar.gz")));
}

TEST_CASE("sets that were taken together are removed together or not at all") {
  BackupFixture fixture;
  const auto put_pair = [&](std::chrono::hours ago) {
    for (const auto& [module, other] : {std::pair{"web", "db"}, {"db", "web"}}) {
      put_set(fixture, module, noon - ago, {{"", tar_content(1, 1'000)}},
              [&, name = manifest_at(ago, other)](store::Manifest& manifest) {
                manifest.members = {name};
              });
    }
  };
  put_pair(1h);
  put_pair(2h);
  put_sets(fixture, "web", {3h});

  SUBCASE("both are old: asking for one takes both") {
    prune(fixture.session, keep_last(1, "web"));
    CHECK(left(fixture) == Names{manifest_at(1h, "db"), manifest_at(1h)});
  }
  SUBCASE("one of the two is damaged") {
    damage(fixture, 2h, "db");
    prune(fixture.session, keep_last(1, "web"));
    CHECK(left(fixture) ==
          Names{manifest_at(2h, "db"), manifest_at(1h, "db"), manifest_at(2h), manifest_at(1h)});
  }
  SUBCASE("one of the two is the newest good one of its module") {
    damage(fixture, 1h, "db");
    damage(fixture, 1h, "web");
    PruneRequest request = keep_last(0);
    request.force = true;
    prune(fixture.session, request);
    CHECK(left(fixture) == Names{manifest_at(2h, "db"), manifest_at(2h)});
  }
}

TEST_CASE("what a killed prune left of several sets is not a set, and is removed") {
  BackupFixture fixture;
  const auto put_half = [&](std::chrono::hours ago) {
    put_set(fixture, "web", noon - ago, {{"", tar_content(1, 1'000)}},
            [&](store::Manifest& manifest) { manifest.members = {manifest_at(ago, "db")}; });
  };
  put_half(1h);
  put_sets(fixture, "web", {2h, 3h});
  put_half(4h);
  const Pruning pruning = prune(fixture.session, keep_last(1));
  CHECK(left(fixture) == Names{manifest_at(2h)});
  CHECK(pruning.sets.size() == 4);
}

TEST_CASE("a prune killed after any file leaves orphans, but no manifest without its files") {
  // A manifest, its receipt, and two artifacts, for each of two sets that go.
  for (int step = 1; step <= 8; ++step) {
    CAPTURE(step);
    BackupFixture fixture;
    for (const auto ago : {1h, 2h, 3h}) {
      put_set(fixture, "web", noon - ago,
              {{"one", tar_content(1, 1'000)}, {"two", tar_content(2, 1'000)}});
      put_receipt(fixture, "web", noon - ago);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      int count = 0;
      PruneRequest request = keep_last(1);
      request.removed = [&](const std::string&) {
        if (++count == step) ::raise(SIGKILL);
      };
      prune(fixture.session, request);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(names_in(fixture.backups()).size() == static_cast<std::size_t>(12 - step));
    const store::Catalogue after = catalogue(fixture);
    for (const store::BackupSet& set : after.sets) CHECK(set.missing.empty());
    CHECK(after.sets.size() == (step <= 4 ? 2 : 1));
    // The next prune finishes the work.
    prune(fixture.session, keep_last(1));
    CHECK(left(fixture) == Names{manifest_at(1h)});
  }
}

TEST_CASE("orphans are removed on request, and the files of a damaged set are not") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  put_sets(fixture, "db", {1h, 2h});
  put_receipt(fixture, "web", noon - 2h);
  // The files that a killed run and a killed prune leave.
  std::filesystem::remove(fixture.path(manifest_at(1h)));
  std::filesystem::remove(fixture.path(manifest_at(2h)));
  std::filesystem::remove(fixture.path(manifest_at(2h, "db")));
  write_file(fixture.path(".bba-0123456789abcdef.partial"), "half");
  write_file(fixture.path(manifest_at(3h)), "{ damaged");
  write_file(fixture.path("notes.txt"), "not ours");
  PruneRequest request;
  request.orphans = true;
  request.at = now() + 2h;  // the files' own time cannot be forged

  SUBCASE("all of them") {
    const Pruning pruning = prune(fixture.session, request);
    CHECK(names_in(fixture.backups()) ==
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
    const Pruning pruning = prune(fixture.session, request);
    REQUIRE(pruning.orphans.size() == 1);
    CHECK(pruning.orphans[0].file == "db-20261123T100000Z.tar.gz");
    CHECK(catalogue(fixture).orphans.size() == 6);
  }
  SUBCASE("none in a dry run, and none without being asked") {
    const Names before = names_in(fixture.backups());
    request.dry_run = true;
    CHECK(contains(pruning_text(prune(fixture.session, request)), "5 orphans would go"));
    CHECK(prune(fixture.session, keep_last(1)).orphans.empty());
    CHECK(names_in(fixture.backups()) == before);
  }
  SUBCASE("none that are new: a manifest may follow") {
    request.at = now();
    const Pruning pruning = prune(fixture.session, request);
    CHECK(contains(pruning_text(pruning), "0 sets removed"));
    CHECK(pruning.orphans[0].why ==
          "not yet an hour here: a run was killed before it was complete");
    CHECK(catalogue(fixture).orphans.size() == 7);
  }
  SUBCASE("none while a run has locked one of the modules: its set may be on its way") {
    const Names before = names_in(fixture.backups());
    const store::ModuleLock lock(fixture.state(), "web");
    CHECK(thrown_by([&] { prune(fixture.session, request); }).kind == ErrorKind::busy);
    CHECK(names_in(fixture.backups()) == before);
  }
}

TEST_CASE("a dry run removes nothing, locks nothing, and says the same") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  damage(fixture, 3h);
  PruneRequest request = keep_last(1);
  request.dry_run = true;
  const Names before = names_in(fixture.backups());
  const Pruning dry = prune(fixture.session, request);
  CHECK(names_in(fixture.backups()) == before);
  CHECK_FALSE(std::filesystem::exists(fixture.state()));
  CHECK(contains(pruning_text(dry), "1 set would go"));
  request.dry_run = false;
  const Pruning wet = prune(fixture.session, request);
  REQUIRE(wet.sets.size() == dry.sets.size());
  for (std::size_t i = 0; i < wet.sets.size(); ++i) CHECK(wet.sets[i].kept == dry.sets[i].kept);
}

TEST_CASE("nothing is removed without a rule, or while another run has locked one of the modules") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h});
  put_sets(fixture, "db", {1h, 2h});
  const Thrown no_rule = thrown_by([&] { prune(fixture.session, PruneRequest{}); });
  CHECK(no_rule.kind == ErrorKind::usage);
  CHECK(contains(no_rule.hint, "--keep-last"));
  {
    const store::ModuleLock lock(fixture.state(), "web");
    CHECK(thrown_by([&] { prune(fixture.session, keep_last(1)); }).kind == ErrorKind::busy);
    CHECK(left(fixture).size() == 4);
    prune(fixture.session, keep_last(1, "db"));
    CHECK(left(fixture).size() == 3);
  }
  CHECK(thrown_by([&] { prune(fixture.session, keep_last(1, "../x")); }).kind == ErrorKind::config);
}

TEST_CASE("a time limit that has passed ends prune before anything is removed") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h, 2h, 3h});
  fixture.stop.set_time_limit(0s);
  CHECK(thrown_by([&] { prune(fixture.session, keep_last(1)); }).kind == ErrorKind::timeout);
  CHECK(left(fixture).size() == 3);
  PruneRequest forced = keep_last(1);
  forced.force = true;
  CHECK(thrown_by([&] { prune(fixture.session, forced); }).kind == ErrorKind::timeout);
  CHECK(left(fixture).size() == 3);
}

TEST_CASE("a safety set is never the newest good one, and takes no backup's place") {
  BackupFixture fixture;
  put_sets(fixture, "web", {2h, 4h, 6h});
  for (const auto ago : {1h, 3h, 5h}) {
    put_set(fixture, "web", noon - ago, {{"", tar_content(1, 1'000)}}, as_safety_set);
  }
  const Pruning pruning = prune(fixture.session, keep_last(2));
  CHECK(left(fixture) == Names{manifest_at(4h), manifest_at(3h), manifest_at(2h), manifest_at(1h)});
  CHECK(pruning.sets[0].why == "newer than one of the last 2");
  PruneRequest request;
  request.keep_within = 90min;
  request.at = noon;
  prune(fixture.session, request);
  CHECK(left(fixture) == Names{manifest_at(2h), manifest_at(1h)});
}

TEST_CASE("the safety set that an undo needs stays, until another restore or prune --parked") {
  BackupFixture fixture;
  put_sets(fixture, "web", {1h});
  for (const auto ago : {2h, 3h}) {
    put_set(fixture, "web", noon - ago, {{"", tar_content(1, 1'000)}}, as_safety_set);
  }
  run::InPlaceState state;
  state.module = "web";
  state.safety_set = manifest_at(3h);
  state.time = noon - 3h;
  run::write_in_place_state(fixture.state(), state);
  const Pruning pruning = prune(fixture.session, keep_last(1));
  CHECK(left(fixture) == Names{manifest_at(3h), manifest_at(1h)});
  CHECK(pruning.sets.back().why == "what `restore web --undo` brings back");

  PruneRequest parked = keep_last(1, "db");
  parked.parked = true;
  prune(fixture.session, parked);
  CHECK(left(fixture) == Names{manifest_at(3h), manifest_at(1h)});
  parked.module = "web";
  parked.dry_run = true;
  CHECK(contains(pruning_text(prune(fixture.session, parked)),
                 "would go  the undo of the restore of web 2026-11-23T09:00:00Z"));
  CHECK(run::in_place_state(fixture.state(), "web").has_value());
  parked.dry_run = false;
  prune(fixture.session, parked);
  CHECK_FALSE(run::in_place_state(fixture.state(), "web").has_value());
  CHECK(left(fixture) == Names{manifest_at(1h)});
}

}  // namespace bba::commands
