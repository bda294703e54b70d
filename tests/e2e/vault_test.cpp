// Class C: snapshots that are complete and restore, every way in which one is not, and the files
// where there can be none.
#include "e2e/vault.hpp"

#include <csignal>

#include "e2e/fake.hpp"

using namespace e2e;

namespace {

constexpr const char* save = "operator raft snapshot save";

// Backs the server up and restores the snapshot into a fresh one of the same image.
void check_round_trip(const VaultServer& server, const std::string& image,
                      const std::map<std::string, std::string>& environment) {
  E2eFixture fixture;
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()}, with(environment));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "C");
  CHECK(manifest.at("strategy") == "raft snapshot");
  CHECK(manifest.at("fallback").is_null());
  CHECK(manifest.at("facts").at("storage_type") == "raft");
  CHECK(manifest.at("consistency").at("mode") == "live");
  CHECK(any_has(manifest.at("follow_ups"), "unseal keys"));
  REQUIRE(manifest.at("artifacts").size() == 1);
  const Json& artifact = manifest.at("artifacts")[0];
  const std::string file = fixture.backups() + "/" + artifact.at("file").get<std::string>();
  CHECK(ended.out == file + "\n");
  CHECK(file.ends_with(".snap"));
  CHECK(artifact.at("kind") == "raft-snapshot");
  CHECK(artifact.at("compression") == "none");
  CHECK(artifact.at("found").at("index").get<int>() > 0);
  CHECK(artifact.at("found").at("state_bytes").get<int>() > 0);
  CHECK(run({"sha256sum", file}).out.substr(0, 64) == artifact.at("sha256"));
  const Ended verified = fixture.bba({"verify", server.container()});
  CHECK(verified.exit_code == 0);
  CHECK(has(verified.out, "raft-snapshot: index"));

  const VaultServer second(fixture, "second-vault", image);
  REQUIRE(second.content() != server.content());
  // Another cluster accepts it only with -force.
  const Ended refused = fixture.restore_by_hand(second.container(), second.with_token());
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "is another cluster than the one that was backed up"));
  CHECK(second.content() != server.content());
  // The same cluster accepts it without -force.
  const Ended again = fixture.restore_by_hand(server.container(), server.with_token());
  INFO(again.err);
  CHECK(again.exit_code == 0);
  std::map<std::string, std::string> into_another = second.with_token();
  into_another["NEW_CLUSTER"] = "yes";
  const Ended restored = fixture.restore_by_hand(second.container(), into_another);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  // It has the first one's data now, so its own key no longer unseals it.
  second.unseal(server.unseal_key());
  const Ended same = run({"docker", "-H", host(), "exec", "-e", "VAULT_TOKEN=" + server.token(),
                          second.container(), image.starts_with("openbao") ? "bao" : "vault",
                          "operator", "raft", "snapshot", "save", "/tmp/again.snap"});
  CHECK(same.exit_code == 0);
  CHECK(docker({"exec", second.container(), "sh", "-c", "tar -xzOf /tmp/again.snap state.bin"}) ==
        docker({"exec", "-i", second.container(), "sh", "-c", "tar -xzOf - state.bin"},
               read_file(file)));
}

// A run that must fail and leave nothing.
Ended check_fails(const VaultServer& server, const std::map<std::string, std::string>& environment,
                  int exit_code, const Strings& said) {
  E2eFixture fixture;
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()}, with(environment));
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  for (const std::string& part : said) {
    CAPTURE(part);
    CHECK(has(ended.err, part));
  }
  fixture.check_nothing_left();
  CHECK_FALSE(runs_in(server.container(), save));
  CHECK(life_of(server.container()) == life);
  return ended;
}

// A run that must take the files instead, and say why.
void check_files_instead(const std::string& container,
                         const std::map<std::string, std::string>& environment,
                         const std::string& why, const std::string& mode) {
  E2eFixture fixture;
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"backup", container}, with(environment));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 11);
  CHECK(life_of(container) == life);
  CHECK(has(ended.err, "warning: " + container +
                           ": mounted data archive instead of the class's own procedure: " + why));
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "C");
  CHECK(manifest.at("strategy") == "mounted data archive");
  CHECK(has(manifest.at("fallback").get<std::string>(), why));
  CHECK(any_has(manifest.at("warnings"), why));
  CHECK(manifest.at("consistency").at("mode") == mode);
  CHECK(manifest.at("consistency").at("paused").size() == (mode == "pause" ? 1 : 0));
  // Its files and its logs.
  REQUIRE(manifest.at("artifacts").size() == 2);
  for (const Json& artifact : manifest.at("artifacts")) CHECK(artifact.at("kind") == "tar");
  CHECK(fixture.journals() == Strings{});
  CHECK(fixture.bba({"verify", container}).exit_code == 0);
}

}  // namespace

TEST_CASE("C, Vault: a snapshot is taken, and restored by hand into a second server") {
  NEEDS_ENGINE();
  check_round_trip(shared_vault(), "vault:1", shared_vault().with_token());
}

TEST_CASE("C, OpenBao: a snapshot is taken with its own token variable, and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const VaultServer server(fixture, "openbao", "openbao:2");
  check_round_trip(server, "openbao:2", {{"BAO_TOKEN", server.token()}});
}

TEST_CASE("C, no token, sealed, or storage that is not raft: the files are archived instead") {
  NEEDS_ENGINE();
  check_files_instead(shared_vault().container(), {{"SUDO_USER", "somebody"}},
                      "no snapshot, as VAULT_TOKEN is not set in your environment; sudo drops it "
                      "without --preserve-env=VAULT_TOKEN",
                      "pause");
  E2eFixture fixture;
  const VaultServer other(fixture, "file-vault", "vault:1", "file");
  check_files_instead(other.container(), other.with_token(),
                      "no snapshot, as its storage is file, not raft", "pause");
  const VaultServer server(fixture, "sealed-vault");
  REQUIRE(server.ask({"operator", "seal"}).exit_code == 0);
  check_files_instead(server.container(), server.with_token(), "no snapshot, as it is sealed",
                      "pause");
  CHECK(server.sealed());
}

TEST_CASE("C, paused or stopped: the files are archived instead, and it stays so") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  docker({"pause", server.container()});
  check_files_instead(server.container(), server.with_token(),
                      "no snapshot, as the container is paused", "paused");
  CHECK(paused(server.container()));
  docker({"unpause", server.container()});

  E2eFixture fixture;
  const std::string stopped = fixture.create("stopped-vault", {}, "bba-fixture/vault:1");
  check_files_instead(stopped, server.with_token(), "no snapshot, as the container is created",
                      "stopped");
}

TEST_CASE("C, a server whose lack of raft shows only when a snapshot is taken: the files instead") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  // As servers before 1.11 answer.
  const FakeProgram old(
      server.container(), "vault",
      "case \"$*\" in\n"
      "status*) \"$REAL\" \"$@\" | sed /storage_type/d; exit ;;\n"
      "*' snapshot save '*)\n"
      "  printf 'Error taking the snapshot: Error making API request.\\n\\n' >&2\n"
      "  printf 'Code: 400. Errors:\\n\\n* raft storage is not in use\\n' >&2\n"
      "  exit 2 ;;\n"
      "esac\n"
      "exec \"$REAL\" \"$@\"\n");
  check_files_instead(server.container(), server.with_token(),
                      "no snapshot, as its storage is not raft", "pause");
}

TEST_CASE("C, a token that the server rejects: exit 6, and the files are not archived instead") {
  NEEDS_ENGINE();
  check_fails(shared_vault(), {{"VAULT_TOKEN", "hvs.wrong"}}, 6,
              {"vault: it ended with exit code 2", "permission denied",
               "hint: the token needs a policy with read on sys/storage/raft/snapshot"});
}

TEST_CASE("C, a standby: exit 6, and the hint names the active node") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  // What its program prints when the answer of the active node ends early.
  const FakeProgram standby(
      server.container(), "vault",
      "case \"$*\" in *' snapshot save '*)\n"
      "  echo 'Error taking the snapshot: incomplete snapshot, unable to read SHA256SUMS.sealed "
      "file' >&2\n"
      "  exit 2 ;;\n"
      "esac\n"
      "exec \"$REAL\" \"$@\"\n");
  check_fails(server, server.with_token(), 6,
              {"incomplete snapshot", "hint: is this node a standby?"});
}

TEST_CASE("C, a standby's hint leads to the active node") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  // At the container's address a standby answers; at another one, the active node.
  const FakeProgram standby(
      server.container(), "vault",
      "case \"$VAULT_ADDR $*\" in *'//127.0.0.1:8200 operator raft snapshot save '*)\n"
      "  echo 'Error taking the snapshot: incomplete snapshot' >&2\n"
      "  exit 2 ;;\n"
      "esac\n"
      "exec \"$REAL\" \"$@\"\n");
  const std::string setting = "modules." + server.container() + ".env to [VAULT_ADDR]";
  auto environment = server.with_token();
  environment["VAULT_ADDR"] = "http://localhost:8200";
  check_fails(server, environment, 6, {"hint: is this node a standby?", setting});

  E2eFixture fixture;
  write_file(fixture.path("bba.yaml"),
             "modules:\n  " + server.container() + ":\n    env: [VAULT_ADDR]\n");
  const Ended ended = fixture.bba(
      {"backup", server.container(), "--config", fixture.path("bba.yaml")}, with(environment));
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(fixture.manifest().at("strategy") == "raft snapshot");
  CHECK(fixture.manifest().at("warnings") ==
        Json{"the snapshot is of http://localhost:8200, as VAULT_ADDR in your environment has it"});
}

TEST_CASE("C, the server is down: exit 6") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  auto environment = server.with_token();
  // Nothing listens on that port, so the program's connection is refused.
  const FakeProgram elsewhere(server.container(), "vault",
                              "VAULT_ADDR=http://127.0.0.1:8299 exec \"$REAL\" \"$@\"\n");
  check_fails(server, environment, 6,
              {"the server does not answer: vault status:", "connection refused", "hint: "});
}

TEST_CASE("C, the program is missing: exit 6") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  const HiddenProgram hidden(server.container(), "vault");
  check_fails(server, server.with_token(), 6,
              {"neither vault nor bao could be started in the container", "hint: "});
}

TEST_CASE("C, a truncated, altered or empty snapshot with exit code 0: exit 6") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  const auto as = [](const std::string& filter) {
    return "case \"$*\" in *' snapshot save '*) \"$REAL\" \"$@\" | " + filter +
           "; exit 0 ;; esac\nexec \"$REAL\" \"$@\"\n";
  };
  {
    const FakeProgram half(server.container(), "vault", as("head -c 20000"));
    check_fails(server, server.with_token(), 6, {"gzip", "cut"});
  }
  {
    const FakeProgram wrong(
        server.container(), "vault",
        as("{ dd bs=1 count=9000 2>/dev/null; printf x; dd bs=1 count=1 of=/dev/null 2>/dev/null; "
           "cat; }"));
    check_fails(server, server.with_token(), 6, {"backing up"});
  }
  {
    const FakeProgram nothing(server.container(), "vault", as("true"));
    check_fails(server, server.with_token(), 6, {"gzip"});
  }
}

TEST_CASE("C, half a snapshot and exit code 2: exit 6, with the program's error output") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  const FakeProgram half(server.container(), "vault",
                         "case \"$*\" in *' snapshot save '*)\n"
                         "  \"$REAL\" \"$@\" | head -c 20000\n"
                         "  echo 'Error taking the snapshot: unexpected EOF' >&2\n"
                         "  exit 2 ;;\n"
                         "esac\n"
                         "exec \"$REAL\" \"$@\"\n");
  check_fails(server, server.with_token(), 6, {"exit code 2", "unexpected EOF"});
}

TEST_CASE("C, the backup directory's file system is full: exit 8") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  E2eFixture fixture;
  fixture.small_backup_directory("16k");
  const Ended ended = fixture.bba({"backup", server.container()}, with(server.with_token()));
  INFO(ended.err);
  CHECK(ended.exit_code == 8);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "No space left on device"));
  fixture.check_nothing_left();
  CHECK_FALSE(runs_in(server.container(), save));
}

TEST_CASE("C, killed half way: the run by SIGTERM and SIGKILL, then the container") {
  NEEDS_ENGINE();
  E2eFixture servers;
  const VaultServer server(servers, "killed-vault");
  const WaitingProgram waiting(server.container(), "vault", "*' snapshot save '*", 20000);
  const std::string life = life_of(server.container());
  ::setenv("VAULT_TOKEN", server.token().c_str(), 1);
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    E2eFixture fixture;
    Process run = fixture.begin({"backup", server.container()});
    waiting.wait_until_half_way(run);
    REQUIRE(runs_in(server.container(), save));
    run.signal(signal);
    CHECK(run.wait(10s).exit_code == (signal == SIGTERM ? 143 : -SIGKILL));
    wait_until("the program inside has ended", 6s,
               [&] { return !runs_in(server.container(), save); });
    wait_until("the guard has ended", 10s, [&] { return !fixture.guard(); });
    fixture.check_nothing_left();
    CHECK(life_of(server.container()) == life);
  }
  E2eFixture fixture;
  Process run = fixture.begin({"backup", server.container()});
  waiting.wait_until_half_way(run);
  docker({"kill", server.container()});
  const Ended ended = run.wait(60s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  fixture.check_nothing_left();
  docker({"start", server.container()});
  ::unsetenv("VAULT_TOKEN");
}

TEST_CASE("C, the token is in no output, no manifest and no argv") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  E2eFixture fixture;
  const EventLog log({server.container()});
  for (const Strings& arguments : {Strings{"-v", "plan", server.container()},
                                   Strings{"-v", "plan", server.container(), "--json"},
                                   Strings{"-v", "backup", server.container(), "--json"}}) {
    const Ended ended = fixture.bba(arguments, with(server.with_token()));
    REQUIRE(ended.exit_code == 0);
    CHECK_FALSE(has(ended.out, server.token()));
    CHECK_FALSE(has(ended.err, server.token()));
  }
  CHECK_FALSE(has(pretty_json(fixture.manifest()), server.token()));
  const std::string events = join(log.events(), "\n");
  REQUIRE(has(events, "exec_create: vault operator raft snapshot save /dev/stdout"));
  CHECK_FALSE(has(events, server.token()));
}

TEST_CASE("C, plan changes nothing, and shows the request that backup sends") {
  NEEDS_ENGINE();
  const VaultServer& server = shared_vault();
  E2eFixture fixture;
  const Ended planned =
      fixture.bba({"plan", server.container(), "--json"}, with(server.with_token()));
  REQUIRE(planned.exit_code == 0);
  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  REQUIRE(plan->at("requests").size() == 1);
  const std::string request = plan->at("requests")[0];
  const std::string head = "POST /containers/" + server.container() + "/exec with VAULT_TOKEN: ";
  REQUIRE(request.starts_with(head));
  const EventLog log({server.container()});
  REQUIRE(fixture.bba({"backup", server.container()}, with(server.with_token())).exit_code == 0);
  CHECK(has(join(log.events(), "\n"),
            "exec_create: " + request.substr(head.size()) + " " + server.container()));
}
