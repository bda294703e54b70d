// Restores into services that take their data through their own programs while they run: what comes
// back, what stays, what is refused before anything is touched, and what is known of one that was
// killed.
#include <filesystem>

#include "e2e/minio.hpp"
#include "e2e/restore_support.hpp"
#include "e2e/vault.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

using Environment = std::map<std::string, std::string>;

Ended ends_with(const E2eFixture& fixture, int exit_code, const Strings& arguments,
                const Environment& environment) {
  const Ended ended = fixture.bba(arguments, with(environment));
  INFO(join(arguments, " "));
  INFO(ended.out);
  INFO(ended.err);
  REQUIRE(ended.exit_code == exit_code);
  CHECK(fixture.journals() == Strings{});
  return ended;
}

// The manifests' files of the safety sets, oldest first.
Strings safety_sets(const E2eFixture& fixture) {
  Strings files;
  for (const std::string& name : names_in(fixture.backups())) {
    if (!name.ends_with(".manifest.json")) continue;
    const auto json = parse_json(read_file(fixture.backups() + "/" + name));
    REQUIRE(json.has_value());
    if (json->contains("purpose")) files.push_back(name);
  }
  return files;
}

// Runs it until it sends this to the engine, then kills the run and its guard.
void kill_at(E2eFixture& fixture, const std::string& request, const Strings& arguments,
             const Environment& environment) {
  Relay relay(fixture);
  relay.hold_at(request);
  Process run(relay.command(arguments), with(environment));
  wait_until("the run stalls at " + request, 60s, [&] { return relay.holds() || !run.running(); });
  INFO(run.err());
  REQUIRE(relay.holds());
  kill_with_guard(fixture, run);
  relay.hold_at("");
}

}  // namespace

TEST_CASE("restore in place, Vault: the snapshot is back, and undo goes back and forth") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const VaultServer server(fixture, "vault");
  const std::string& module = server.container();
  const Environment token = server.with_token();
  const auto change = [&](const std::string& word) {
    docker({"exec", module, "sh", "-c", "echo " + word + " >>/vault/file/raft/state"});
  };
  const std::string old_content = server.content();
  ends_with(fixture, 0, {"backup", module}, token);
  change("new");
  const std::string new_content = server.content();
  REQUIRE(new_content != old_content);
  const std::string life = life_of(module);

  const Ended without = ends_with(fixture, 4, {"restore", module, "--yes"}, token);
  CHECK(has(without.err, "--in-place"));
  const Strings restore{"restore", module, "--in-place", "--yes"};
  const Ended plan = ends_with(fixture, 0, {"restore", module, "--in-place", "--dry-run"}, token);
  CHECK(has(plan.out, "NOT ONE STEP"));
  CHECK(has(plan.out, "takes a safety set of what the service has now"));
  CHECK(has(plan.out, "operator raft snapshot restore`: one request"));
  CHECK_FALSE(has(plan.out, "-force"));
  ends_with(fixture, 2, {"restore", module, "--in-place"}, token);
  const Ended no_token = ends_with(fixture, 4, restore, {});
  CHECK(has(no_token.err, "would be a fallback"));
  // Refused when the safety set is taken, at the latest.
  ends_with(fixture, 6, restore, {{"VAULT_TOKEN", "hvs.wrong"}});
  CHECK(safety_sets(fixture).empty());
  CHECK(server.content() == new_content);

  const Ended done = ends_with(fixture, 0, restore, token);
  CHECK(server.content() == old_content);
  CHECK_FALSE(server.sealed());
  CHECK(life_of(module) == life);
  const Strings first = safety_sets(fixture);
  REQUIRE(first.size() == 1);
  CHECK(has(done.out, "is in the safety set " + first[0]));
  CHECK_FALSE(has(done.out + done.err + plan.out, server.token()));

  // It stands for no backup.
  CHECK(has(ends_with(fixture, 0, {"list", module}, {}).out, "safety set: before a restore"));
  ends_with(fixture, 0, {"gate", module}, {});
  const Ended gate = ends_with(
      fixture, 10,
      {"gate", module, "--ref", fixture.backups() + "/" + first[0], "--accept-fallback"}, {});
  CHECK(has(gate.err, "is a safety set (before-restore)"));
  ends_with(fixture, 0, {"prune", module, "--keep-last", "1"}, {});
  CHECK(safety_sets(fixture) == first);
  ends_with(fixture, 0, {"verify", fixture.backups() + "/" + first[0]}, {});

  change("later");
  const std::string later_content = server.content();
  const Ended undone = ends_with(fixture, 0, {"restore", module, "--undo", "--yes"}, token);
  CHECK(has(undone.out, "has again what it had before the restore"));
  CHECK(server.content() == new_content);
  ends_with(fixture, 0, {"restore", module, "--undo", "--yes"}, token);
  CHECK(server.content() == later_content);
  // Without --set the backup, not the newer safety sets.
  const Ended again = ends_with(fixture, 0, restore, token);
  CHECK(has(again.err, "it is a safety set"));
  CHECK(server.content() == old_content);

  server.ask({"operator", "seal"});
  ends_with(fixture, 4, restore, token);
  ends_with(fixture, 4, {"restore", module, "--undo", "--yes"}, token);
}

TEST_CASE("restore in place, Vault: another cluster takes it on the operator's word only") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const VaultServer server(fixture, "vault");
  const std::string& module = server.container();
  const std::string content = server.content();
  ends_with(fixture, 0, {"backup", module}, server.with_token());
  docker({"exec", module, "sh", "-c",
          "rm -r /vault/file/standin/* /vault/file/raft/state /run/vault-standin/unsealed"});
  const auto made = parse_json(docker({"exec", module, "vault", "operator", "init", "-key-shares=1",
                                       "-key-threshold=1", "-format=json"}));
  REQUIRE(made.has_value());
  server.unseal(made->at("unseal_keys_hex")[0]);
  const std::string token = made->at("root_token");
  const Environment environment{{"VAULT_TOKEN", token}};

  const Ended refused =
      ends_with(fixture, 4, {"restore", module, "--in-place", "--yes"}, environment);
  CHECK(has(refused.err, "the server is another cluster"));
  CHECK(has(refused.err, "--new-cluster"));
  CHECK(safety_sets(fixture).empty());
  const Ended plan = ends_with(
      fixture, 0, {"restore", module, "--in-place", "--new-cluster", "--dry-run"}, environment);
  CHECK(has(plan.out, "the unseal keys and tokens of the snapshot count"));
  const Ended done = ends_with(
      fixture, 11, {"restore", module, "--in-place", "--new-cluster", "--yes"}, environment);
  CHECK(has(done.out, "unseal it with the unseal keys of the snapshot"));
  CHECK(server.sealed());
  server.unseal(server.unseal_key());
  CHECK(server.content() == content);
}

TEST_CASE(
    "restore in place, Vault: a run that was killed leaves one of the two states, and an undo") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const VaultServer server(fixture, "vault");
  const std::string& module = server.container();
  const Environment token = server.with_token();
  ends_with(fixture, 0, {"backup", module}, token);
  docker({"exec", module, "sh", "-c", "echo new >>/vault/file/raft/state"});
  const std::string new_content = server.content();
  kill_at(fixture, "\"snapshot\",\"restore\"", {"restore", module, "--in-place", "--yes"}, token);
  const Ended recovered = fixture.bba({"recover"});
  CAPTURE(recovered.err);
  CHECK(recovered.exit_code == 0);
  CHECK(has(recovered.out, "it was broken off"));
  CHECK(has(recovered.out, "restore " + module + " --undo"));
  CHECK(server.content() == new_content);
  CHECK(fixture.bba({"recover"}).out.empty());
  ends_with(fixture, 0, {"restore", module, "--undo", "--yes"}, token);
  CHECK(server.content() == new_content);
}

namespace {

// A server with a set of an earlier state.
class ChangedMinio {
 public:
  explicit ChangedMinio(E2eFixture& fixture)
      : server(fixture, "minio", "no"), module(server.container()) {
    environment = MinioServer::alias();
    for (const char* bucket : {"photos", "notes"})
      server.mc({"mb", fmt::format("local/{}", bucket)});
    for (const char* key :
         {"photos/a", "photos/b", "photos/deep/c", "photos/d d", "notes/ü", "notes/z"}) {
      server.mc({"pipe", fmt::format("local/{}", key)}, fmt::format("old {}", key));
    }
    server.mc({"pipe", "local/photos/empty"});
    old_objects = server.objects();
    ends_with(fixture, 0, {"backup", module}, environment);
    server.mc({"pipe", "local/photos/a"}, "new photos/a");  // as long as before
    server.mc({"pipe", "local/photos/deep/c"}, "a longer one");
    server.mc({"rm", "local/photos/d d"});
    server.mc({"rm", "local/notes/z"});
    server.mc({"pipe", "local/photos/extra"}, "came since");
    new_objects = server.objects();
  }

  MinioServer server;
  std::string module;
  Environment environment;
  std::map<std::string, std::string> old_objects, new_objects;
};

}  // namespace

TEST_CASE("restore in place, MinIO: what is missing or changed is put, and undo is exact") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const ChangedMinio minio(fixture);
  const Environment& environment = minio.environment;
  const Strings restore{"restore", minio.module, "--in-place", "--yes"};

  const Ended plan =
      ends_with(fixture, 0, {"restore", minio.module, "--in-place", "--dry-run"}, environment);
  CHECK(has(plan.out, "puts 4 objects"));
  CHECK(has(plan.out, "2 missing, 2 that changed; 3 are as in the set"));
  CHECK(has(plan.out, "leaves 1 object that the set does not have"));
  const Ended fallback = ends_with(fixture, 4, restore, {});
  CHECK(has(fallback.err, "MINIO_MC_ALIAS is not set"));
  const Ended unknown = ends_with(fixture, 6, restore,
                                  {{"MINIO_MC_ALIAS", "nosuch"}, {"MC_HOST_nosuch", "nonsense"}});
  CHECK(has(unknown.err, "mc does not know the alias nosuch"));
  CHECK(safety_sets(fixture).empty());
  CHECK(difference(minio.new_objects, minio.server.objects()) == "");

  auto with_extra = minio.old_objects;
  with_extra["photos/extra"] = minio.new_objects.at("photos/extra");
  const Ended done = ends_with(fixture, 0, restore, environment);
  CHECK(has(done.out, "4 objects put, 0 removed; the server lists all 7 of the set"));
  CHECK(difference(with_extra, minio.server.objects()) == "");
  CHECK(safety_sets(fixture).size() == 1);

  ends_with(fixture, 0, {"restore", minio.module, "--undo", "--yes"}, environment);
  CHECK(difference(minio.new_objects, minio.server.objects()) == "");
  ends_with(fixture, 0, {"restore", minio.module, "--undo", "--yes"}, environment);
  CHECK(difference(with_extra, minio.server.objects()) == "");

  const Ended exact = ends_with(
      fixture, 0, {"restore", minio.module, "--in-place", "--exact", "--yes"}, environment);
  CHECK(has(exact.out, "0 objects put, 1 removed"));
  CHECK(difference(minio.old_objects, minio.server.objects()) == "");
  ends_with(fixture, 2, {"restore", minio.module, "--exact", "--yes"}, environment);
}

TEST_CASE("restore in place, MinIO: a bucket that is gone is made again") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const ChangedMinio minio(fixture);
  docker({"exec", minio.module, "rm", "-r", "/data/notes"});
  const Ended done = ends_with(
      fixture, 0, {"restore", minio.module, "--in-place", "--exact", "--yes"}, minio.environment);
  CHECK(difference(minio.old_objects, minio.server.objects()) == "");
}

TEST_CASE("restore in place, MinIO: what is written while the safety set is taken is not lost") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const ChangedMinio minio(fixture);
  Relay relay(fixture);
  relay.slow_down("\"cat\"", 5s);
  Process run(relay.command({"restore", minio.module, "--in-place", "--yes"}),
              with(minio.environment));
  wait_until("the safety set is being taken", 60s, [&] { return relay.late() > 0; });
  minio.server.mc({"pipe", "local/photos/a"}, "just written");
  const auto written = minio.server.objects();
  const Ended ended = run.wait();
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "photos/a was written while the safety set was taken"));
  CHECK(difference(written, minio.server.objects()) == "");
  CHECK(fixture.journals() == Strings{});
  fixture.wait_for_guard_to_end();
  CHECK(has(fixture.bba({"recover"}).err, "nothing to recover"));
}

TEST_CASE("restore in place, MinIO: one that was killed is known, and goes back or on") {
  NEEDS_ENGINE();
  for (const bool goes_on : {false, true}) {
    CAPTURE(goes_on);
    E2eFixture fixture;
    const ChangedMinio minio(fixture);
    // Some are put by then, and some are not.
    kill_at(fixture, "local/photos/d d",
            {"restore", minio.module, "--in-place", "--exact", "--yes"}, minio.environment);
    const auto between = minio.server.objects();
    CHECK(difference(between, minio.new_objects) != "");
    CHECK(difference(between, minio.old_objects) != "");

    const Ended recovered = fixture.bba({"recover"});
    CAPTURE(recovered.err);
    CHECK(recovered.exit_code == 12);
    CHECK(has(recovered.err, "restore " + minio.module + " --undo"));
    // What it has now is no state to back up.
    const Ended backup = fixture.bba({"backup", minio.module}, with(minio.environment));
    CHECK(backup.exit_code == 12);
    CHECK(has(backup.err, "--undo"));
    REQUIRE(safety_sets(fixture).size() == 1);

    if (goes_on) {
      const Ended plan =
          ends_with(fixture, 0, {"restore", minio.module, "--in-place", "--exact", "--dry-run"},
                    minio.environment);
      CHECK(has(plan.out, "goes on with a restore that was broken off"));
      ends_with(fixture, 0, {"restore", minio.module, "--in-place", "--exact", "--yes"},
                minio.environment);
      CHECK(difference(minio.old_objects, minio.server.objects()) == "");
      CHECK(safety_sets(fixture).size() == 1);
    }
    ends_with(fixture, 0, {"restore", minio.module, "--undo", "--yes"}, minio.environment);
    CHECK(difference(minio.new_objects, minio.server.objects()) == "");
    CHECK(fixture.bba({"recover"}).exit_code == 0);
    ends_with(fixture, 0, {"backup", minio.module}, minio.environment);
  }
}

}  // namespace e2e
