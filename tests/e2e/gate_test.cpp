// What a deploy step asks: backup, verify, list, gate, and every reason of the gate to refuse.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include "e2e/postgres.hpp"
#include "e2e/relay.hpp"
#include "e2e/support.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";

// A module in a container of its name, with a file of about a megabyte.
struct Module {
  explicit Module(E2eFixture& e2e_fixture, const std::string& what = "kuma")
      : fixture(e2e_fixture),
        volume(fixture.volume(what)),
        file(volume_path(volume) + "/data.bin") {
    write_file(file, std::string(1 << 20, 'x'));
    id = fixture.start(what, {"--volume", volume + ":/data"}, image);
  }

  // The path of its artifact.
  std::string back_up() const {
    const Ended ended = fixture.bba({"backup", id});
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    return std::string(trimmed(ended.out));
  }
  Json gate(Strings options = {}) const {
    options.insert(options.begin(), {"gate", id, "--json"});
    const Ended ended = fixture.bba(options);
    INFO(ended.err);
    const auto json = parse_json(ended.out);
    REQUIRE(json);
    CHECK(ended.exit_code == (json->at("passed").get<bool>() ? 0 : 10));
    return *json;
  }

  E2eFixture& fixture;
  std::string volume, file, id;
};

// The conditions that refuse; each must say what is wrong and what to run.
Strings conditions(const Json& verdict) {
  Strings names;
  for (const Json& refusal : verdict.at("refusals")) {
    CHECK_FALSE(refusal.at("why").get<std::string>().empty());
    CHECK_FALSE(refusal.at("run").get<std::string>().empty());
    names.push_back(refusal.at("condition"));
  }
  return names;
}

void flip_a_bit(const std::string& path, std::size_t at) {
  std::string bytes = read_file(path);
  bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
  write_file(path, bytes);
}

std::string manifest_of(const std::string& artifact) {
  return artifact.substr(0, artifact.find("Z.") + 2) + "manifest.json";
}

// Runs the program as user nobody, from a place where nobody may run it.
Strings as_nobody(const E2eFixture& fixture, const Strings& arguments) {
  Strings command = fixture.command(arguments);
  const std::string copy = fixture.path("bba");
  if (!fs::exists(copy)) {
    fs::copy_file(command[0], copy);
    fs::permissions(copy, fs::perms(0755));
    fs::permissions(fixture.path(""), fs::perms(0755));
  }
  command[0] = copy;
  command.insert(command.begin(),
                 {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"});
  return command;
}

}  // namespace

TEST_CASE("E, backup, verify, list and gate all accept the same set, and name it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);
  const std::string artifact = kuma.back_up();
  for (const std::string& reference : {artifact, manifest_of(artifact), kuma.id}) {
    const Ended verify = fixture.bba({"verify", reference});
    CHECK(verify.exit_code == 0);
    CHECK(verify.out.starts_with("ok   "));
  }
  const auto list = parse_json(fixture.bba({"list", "--json"}).out).value();
  REQUIRE(list.at("sets").size() == 1);
  CHECK(list.at("sets")[0].at("proof") == "verified");
  CHECK(list.at("orphans").empty());

  const Json verdict = kuma.gate();
  CHECK(conditions(verdict) == Strings{});
  CHECK(verdict.at("reference") == artifact);
  CHECK(verdict.at("source") == "directory");
  const std::string sum = run({"sha256sum", manifest_of(artifact)}).out.substr(0, 64);
  CHECK(verdict.at("manifest_sha256") == sum);
  const Ended text = fixture.bba({"gate", kuma.id});
  CHECK(text.exit_code == 0);
  CHECK(has(text.out, "reference  " + artifact + "\n"));
  CHECK(has(text.out, "manifest   sha256:" + sum + "\n"));
  CHECK(has(text.err, "judged by the backup directory"));

  // The manifest's sum of itself, by hand.
  const std::string command = "head -n -2 '" + manifest_of(artifact) + "' | sha256sum";
  CHECK(fixture.manifest().at("sha256") == run({"sh", "-c", command}).out.substr(0, 64));
}

TEST_CASE("A, a backup passes verify and the gate") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string id = shared_server().container();
  REQUIRE(fixture.bba({"backup", id}).exit_code == 0);
  const Ended verify = fixture.bba({"verify", id});
  CHECK(verify.exit_code == 0);
  CHECK(has(verify.out, "databases"));
  CHECK(fixture.bba({"gate", id}).exit_code == 0);
  const Ended drilled = fixture.bba({"gate", id, "--require", "drilled"});
  CHECK(drilled.exit_code == 10);
  CHECK(has(drilled.err, "hint: backup-before-apply drill " + id));

  // Half of it is not a backup, even if a client would accept it.
  const auto artifact = fixture.manifest().at("artifacts")[0].at("file").get<std::string>();
  const std::string path = fixture.backups() + "/" + artifact;
  fs::resize_file(path, fs::file_size(path) / 2);
  CHECK(fixture.bba({"verify", id}).exit_code == 7);
  CHECK(fixture.bba({"gate", id}).exit_code == 10);
}

TEST_CASE("each refusal of the gate names its condition and the command to run") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);

  SUBCASE("no backup") {
    CHECK(conditions(kuma.gate()) == Strings{"set"});
    const Ended text = fixture.bba({"gate", kuma.id});
    CHECK(text.exit_code == 10);
    CHECK(text.out.empty());
    CHECK(has(text.err, "error: the gate refuses " + kuma.id + ": there is no backup"));
    CHECK(has(text.err, "hint: backup-before-apply backup " + kuma.id));
  }
  SUBCASE("too old") {
    kuma.back_up();
    wait_until("a backup is a second old", 10s, [&] {
      return fixture.bba({"gate", kuma.id, "--max-age", "0s"}).exit_code == 10;
    });
    CHECK(conditions(kuma.gate({"--max-age", "0s"})) == Strings{"age"});
    CHECK(conditions(kuma.gate({"--max-age", "1h"})) == Strings{});
  }
  SUBCASE("not drilled") {
    kuma.back_up();
    const Json verdict = kuma.gate({"--require", "drilled"});
    CHECK(conditions(verdict) == Strings{"proof"});
    CHECK(verdict.at("refusals")[0].at("run") == "backup-before-apply drill " + kuma.id);
  }
  SUBCASE("shrunk") {
    kuma.back_up();
    fs::resize_file(kuma.file, 100);
    kuma.back_up();
    const Json verdict = kuma.gate();
    CHECK(conditions(verdict) == Strings{"size"});
    CHECK(has(verdict.at("refusals")[0].at("run"), "--max-shrink 100%"));
    CHECK(conditions(kuma.gate({"--max-shrink", "100%"})) == Strings{});
  }
  SUBCASE("a broken artifact") {
    const std::string artifact = kuma.back_up();
    flip_a_bit(artifact, fs::file_size(artifact) / 2);
    const Ended verify = fixture.bba({"verify", kuma.id});
    CHECK(verify.exit_code == 7);
    CHECK(has(verify.out, "BAD  "));
    CHECK(conditions(kuma.gate()) == Strings{"whole"});
    // Its proof is withdrawn.
    CHECK(names_in(fixture.path("proofs")) == Strings{});
  }
  SUBCASE("an edited manifest") {
    const std::string artifact = kuma.back_up();
    std::string text = read_file(manifest_of(artifact));
    const std::string host = "\"host\": \"";
    text.insert(text.find(host) + host.size(), "not-");
    write_file(manifest_of(artifact), text);
    const Ended verify = fixture.bba({"verify", artifact});
    CHECK(verify.exit_code == 7);
    CHECK(has(verify.err, "it was edited"));
    CHECK(conditions(kuma.gate()) == Strings{"whole"});
    CHECK(has(fixture.bba({"list"}).out, "broken"));
  }
  SUBCASE("another image") {
    kuma.back_up();
    docker({"rm", "--force", kuma.id});
    const auto again = [&](const std::string& of_image) {
      docker({"run", "--detach", "--name", kuma.id, "--network", "none", "--label", "bba.fixture=1",
              "--volume", kuma.volume + ":/data", of_image, "sleep", "1000"});
    };
    again("bba-fixture/minio:1");
    const Json verdict = kuma.gate();
    CHECK(conditions(verdict) == Strings{"image"});
    CHECK(has(verdict.at("refusals")[0].at("why"), "bba-fixture/minio:1"));
    CHECK(conditions(kuma.gate({"--skip-image-check"})) == Strings{});
    docker({"rm", "--force", kuma.id});
    // Replaced by one of the same image: that is what a rollback does.
    again(image);
    CHECK(conditions(kuma.gate()) == Strings{});
  }
  SUBCASE("several conditions at once") {
    const std::string artifact = kuma.back_up();
    fs::remove(artifact);
    docker({"rm", "--force", kuma.id});
    const Ended text = fixture.bba({"gate", kuma.id, "--require", "drilled"});
    docker({"create", "--name", kuma.id, image});
    CHECK(text.exit_code == 10);
    CHECK(has(text.err, "does not pass verify"));
    CHECK(has(text.err, "warning: the backup was not restored in a drill"));
    CHECK(has(text.err, "warning: it is not known which container to compare"));
  }
}

TEST_CASE("B, a fallback: backup exits with 11, and the gate passes only where it is accepted") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture, "redis");
  // A stopped server whose data was saved before: no BGSAVE, and an RDB is there.
  docker({"rm", "--force", kuma.id});
  fs::copy_file(std::string(BBA_SOURCE_DIR) + "/fixtures/rdb/redis-7.0.15.rdb",
                volume_path(kuma.volume) + "/dump.rdb");
  docker({"create", "--name", kuma.id, "--label", "bba.fixture=1", "--volume",
          kuma.volume + ":/data", "bba-fixture/redis:7"});
  const Ended taken = fixture.bba({"backup", kuma.id, "--class", "B"});
  INFO(taken.err);
  REQUIRE(taken.exit_code == 11);
  const std::string artifact(trimmed(taken.out));
  const std::string why = "no BGSAVE, as the container is created";
  CHECK(has(taken.err, why));
  CHECK(fixture.manifest().at("fallback") == why);

  const Json refused = kuma.gate();
  CHECK(conditions(refused) == Strings{"fallback"});
  CHECK(has(refused.at("refusals")[0].at("why"), why));
  CHECK(refused.at("fallback") == why);
  const Ended text = fixture.bba({"gate", kuma.id, "--accept-fallback"});
  CHECK(text.exit_code == 0);
  CHECK(has(text.out, "reference  " + artifact + "\n"));
  CHECK(has(text.out, "strategy   mounted data archive\nfallback   " + why + "\n"));

  // The public proof says the same.
  const auto ask = [&](const Strings& options) {
    Strings arguments{"gate", kuma.id, "--skip-image-check"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(as_nobody(fixture, arguments));
  };
  const Ended closed = ask({});
  CHECK(closed.exit_code == 10);
  CHECK(has(closed.err, why));
  CHECK(ask({"--accept-fallback"}).exit_code == 0);
  // A proof of an older version does not have that field, so the gate refuses.
  const std::string proof = fixture.path("proofs/" + kuma.id + ".json");
  Json old = parse_json(read_file(proof)).value();
  old["schema"] = 1;
  old.erase("fallback");
  write_file(proof, pretty_json(old));
  const Ended unknown = ask({"--accept-fallback"});
  CHECK(unknown.exit_code == 10);
  CHECK(has(unknown.err, "hint: sudo backup-before-apply verify " + kuma.id));
  CHECK(fixture.bba({"verify", kuma.id}).exit_code == 0);
  CHECK(ask({"--accept-fallback"}).exit_code == 0);
  CHECK(ask({}).exit_code == 10);
}

TEST_CASE("gate --ref accepts a set of the module in the backup directory, and no other module's") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);
  const Module other(fixture, "other");
  const std::string first = kuma.back_up();
  const std::string second = kuma.back_up();
  const std::string foreign = other.back_up();
  CHECK(kuma.gate({"--ref", first}).at("reference") == first);
  CHECK(kuma.gate({"--ref", fs::path(second).filename()}).at("reference") == second);
  const Json verdict = kuma.gate({"--ref", foreign});
  CHECK(conditions(verdict) == Strings{"reference"});
  CHECK(has(verdict.at("refusals")[0].at("why"), other.id));
  CHECK(conditions(kuma.gate({"--ref", "/etc/passwd"})) == Strings{"reference"});
  const std::string copy = fixture.path("copy");
  fs::copy(fixture.backups(), copy);
  CHECK(conditions(kuma.gate({"--ref", copy + "/" + fs::path(first).filename().string()})) ==
        Strings{"reference"});
}

TEST_CASE(
    "a deploy runner without root relies on the public proof, if only root can have written it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);
  const std::string artifact = kuma.back_up();
  const std::string proof = fixture.path("proofs/" + kuma.id + ".json");
  const auto ask = [&](const Strings& options) {
    Strings arguments{"gate", kuma.id};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(as_nobody(fixture, arguments));
  };
  const auto refused = [&] {
    const Ended ended = ask({"--skip-image-check", "--json"});
    CHECK(ended.exit_code == 10);
    return conditions(parse_json(ended.out).value());
  };

  const Ended good = ask({"--skip-image-check"});
  INFO(good.err);
  CHECK(good.exit_code == 0);
  CHECK(has(good.out, "reference  " + artifact + "\n"));
  CHECK(has(good.out, "by the public proof"));
  CHECK(has(good.err, "judged by the public proof"));
  CHECK(ask({"--skip-image-check", "--ref", artifact}).exit_code == 0);
  CHECK(ask({"--skip-image-check", "--require", "drilled"}).exit_code == 10);
  // However the path is written, and backup prints it in one way.
  const std::string odd = fixture.path("") + "./backups//" + fs::path(artifact).filename().string();
  CHECK(ask({"--skip-image-check", "--ref", odd}).exit_code == 0);
  const Ended other =
      ask({"--skip-image-check", "--ref", "/tmp/" + fs::path(artifact).filename().string()});
  CHECK(other.exit_code == 10);
  CHECK(has(other.err, "hint: give the newest, " + artifact + ", or leave --ref out"));
  // The user nobody may not ask the engine either, and the gate says so.
  const Ended engine = ask({});
  CHECK(engine.exit_code == 10);
  CHECK(has(engine.err, "--skip-image-check"));
  // That user can read nothing else of the backups.
  CHECK(run(as_nobody(fixture, {"list"})).exit_code == 8);
  CHECK(run(as_nobody(fixture, {"verify", artifact})).exit_code == 8);

  fs::permissions(proof, fs::perms(0666));
  CHECK(refused() == Strings{"set"});
  fs::permissions(proof, fs::perms(0644));
  CHECK(ask({"--skip-image-check"}).exit_code == 0);
  fs::permissions(fixture.path("proofs"), fs::perms(0777));
  CHECK(refused() == Strings{"set"});
  fs::permissions(fixture.path("proofs"), fs::perms(0755));
  REQUIRE(::chown(proof.c_str(), 65534, 65534) == 0);
  CHECK(refused() == Strings{"set"});
  fs::remove(proof);
  CHECK(refused() == Strings{"set"});
  // Verify by root puts it back.
  CHECK(fixture.bba({"verify", kuma.id}).exit_code == 0);
  CHECK(ask({"--skip-image-check"}).exit_code == 0);

  // As a runner in the group of the engine's socket, which compares the image with the proof's.
  Relay relay(fixture);
  fs::permissions(relay.socket(), fs::perms(0666));
  const auto ask_with_engine = [&] {
    Strings command = as_nobody(fixture, {"gate", kuma.id});
    std::replace(command.begin(), command.end(), host(), "unix://" + relay.socket());
    return run(command);
  };
  const Ended same = ask_with_engine();
  INFO(same.err);
  CHECK(same.exit_code == 0);
  docker({"rm", "--force", kuma.id});
  docker({"run", "--detach", "--name", kuma.id, "--network", "none", "--label", "bba.fixture=1",
          "bba-fixture/minio:1", "sleep", "1000"});
  const Ended replaced = ask_with_engine();
  CHECK(replaced.exit_code == 10);
  CHECK(has(replaced.err, "runs image bba-fixture/minio:1"));
  CHECK(has(replaced.err, "hint: sudo backup-before-apply backup " + kuma.id));
}

TEST_CASE("backup prints the artifact's path in the same spelling as the gate and its proof") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);
  Strings command = fixture.command({"backup", kuma.id});
  std::replace(command.begin(), command.end(), fixture.backups(), fixture.path("") + "/./backups");
  const Ended ended = run(command);
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const std::string artifact(trimmed(ended.out));
  CHECK(fs::path(artifact).parent_path() == fixture.backups());
  CHECK(kuma.gate({"--ref", artifact}).at("reference") == artifact);
}

TEST_CASE(
    "prune keeps the newest set, list shows what a killed prune left, and a copy passes verify") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module kuma(fixture);
  Strings artifacts;
  for (int i = 0; i < 3; ++i) artifacts.push_back(kuma.back_up());
  const Ended dry = fixture.bba({"prune", kuma.id, "--keep-last", "2", "--dry-run"});
  CHECK(dry.exit_code == 0);
  CHECK(has(dry.out, "would go  " + fs::path(manifest_of(artifacts[0])).filename().string()));
  CHECK(names_in(fixture.backups()).size() == 9);
  CHECK(fixture.bba({"prune", kuma.id, "--keep-last", "2"}).exit_code == 0);
  CHECK(names_in(fixture.backups()).size() == 6);
  CHECK_FALSE(fs::exists(artifacts[0]));
  CHECK(fixture.bba({"prune"}).exit_code == 2);

  // Killed after the manifest was removed: the artifact is no longer a backup, and has no proof.
  fs::remove(manifest_of(artifacts[1]));
  const std::string orphan = fs::path(artifacts[1]).filename();
  const Ended list = fixture.bba({"list"});
  CHECK(list.exit_code == 0);
  CHECK(has(list.out, "orphan  " + orphan + "  no manifest names it"));
  const Ended verify = fixture.bba({"verify", artifacts[1]});
  CHECK(verify.exit_code == 7);
  CHECK(has(verify.err, "no manifest names it"));
  CHECK(conditions(kuma.gate({"--ref", artifacts[1]})) == Strings{"reference"});

  // The newest good one stays, whatever the rules say.
  CHECK(fixture.bba({"prune", "--keep-last", "0"}).exit_code == 0);
  CHECK(fs::exists(artifacts[2]));
  CHECK(conditions(kuma.gate()) == Strings{});

  // Years later, somewhere else: no engine, no state, no configuration.
  const std::string copy = fixture.path("copy");
  fs::copy(fixture.backups(), copy);
  Strings offline =
      fixture.command({"verify", copy + "/" + fs::path(artifacts[2]).filename().string()});
  std::replace(offline.begin(), offline.end(), host(), "unix://" + fixture.path("none"));
  std::replace(offline.begin(), offline.end(), fixture.backups(), fixture.path("nowhere"));
  const Ended alone = run(offline);
  INFO(alone.err);
  CHECK(alone.exit_code == 0);
}
