// Drills: sets that restore as their manifests say, sets that do not, and scratch containers that
// are removed whichever process is killed.
#include <csignal>
#include <filesystem>

#include "e2e/postgres.hpp"
#include "e2e/redis.hpp"
#include "e2e/relay.hpp"
#include "e2e/support.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/files:1";

// What a drill of this module has created and not removed.
Strings scratch_of(const std::string& module) {
  Strings left;
  const std::string containers =
      docker({"ps", "--all", "--filter", "label=bba.scratch=" + module, "--format", "{{.Names}}"});
  const std::string volumes = docker(
      {"volume", "ls", "--filter", "label=bba.scratch=" + module, "--format", "volume {{.Name}}"});
  for (const std::string& text : {containers, volumes}) {
    for (const std::string_view line : split(text, '\n')) {
      if (!line.empty()) left.emplace_back(line);
    }
  }
  return left;
}

std::string receipt_of(const E2eFixture& fixture) {
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".drill.json")) return fixture.backups() + "/" + name;
  }
  return {};
}

bool passed(const E2eFixture& fixture) {
  const std::string receipt = receipt_of(fixture);
  return !receipt.empty() && parse_json(read_file(receipt))->at("passed") == true;
}

std::string manifest_of(const E2eFixture& fixture) {
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".manifest.json")) return fixture.backups() + "/" + name;
  }
  throw std::runtime_error("no manifest");
}

void check_ended(const Ended& ended, int exit_code) {
  INFO(ended.err);
  REQUIRE(ended.exit_code == exit_code);
}

// A container with two data mounts, backed up.
struct Files {
  explicit Files(E2eFixture& fixture) {
    const std::string data = fixture.volume("data");
    const std::string bind = fixture.path("import");
    std::filesystem::create_directory(bind);
    write_file(volume_path(data) + "/secret", "the truth of a file\n");
    std::filesystem::permissions(volume_path(data) + "/secret", std::filesystem::perms(0640));
    write_file(bind + "/hosts.csv", "host,port\n");
    volume = volume_path(data);
    container = fixture.start(
        "kuma",
        {"--volume", data + ":/app/data", "--volume", bind + ":/app/import", "--env", "KEPT=live"},
        image);
    check_ended(fixture.bba({"backup", container}), 0);
    life = life_of(container);
  }

  std::string container, volume, life;
};

}  // namespace

TEST_CASE("E, a good set is restored completely, the receipt says so, and the gate passes") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string data = fixture.volume("data");
  REQUIRE(run({std::string(BBA_SOURCE_DIR) + "/fixtures/seed-files", volume_path(data) + "/upload"})
              .exit_code == 0);
  const std::string bind = fixture.path("import");
  std::filesystem::create_directory(bind);
  write_file(bind + "/hosts.csv", "host,port\n");
  const std::string container = fixture.start(
      "kuma", {"--volume", data + ":/app/data", "--volume", bind + "/hosts.csv:/etc/app/hosts.csv"},
      image);
  check_ended(fixture.bba({"backup", container}), 0);
  const std::string life = life_of(container);
  check_ended(fixture.bba({"gate", container, "--require", "drilled"}), 10);
  check_ended(fixture.bba({"gate", container}), 0);

  const EventLog log({container});
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(has(ended.out, " entries and "));
  CHECK(split(trimmed(ended.out), '\n').size() == 2);
  CHECK(life_of(container) == life);
  CHECK(log.events() == Strings{});
  CHECK(scratch_of(container) == Strings{});
  CHECK(fixture.journals() == Strings{});

  const std::string path = receipt_of(fixture);
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::all) ==
        std::filesystem::perms(0600));
  const Json receipt = *parse_json(read_file(path));
  CHECK(receipt.at("passed") == true);
  CHECK(receipt.at("module") == container);
  CHECK(receipt.at("compared").size() == 2);
  CHECK(receipt.at("compared")[0].at("entries") ==
        fixture.manifest().at("artifacts")[0].at("found").at("entries"));
  // Older than the engine can restore.
  CHECK(receipt.at("compared")[0].at("times_clamped") == 1);
  CHECK(has(dump_json(receipt.at("not_proven")), "before 1970"));
  CHECK(run({"sha256sum", manifest_of(fixture)}).out.substr(0, 64) ==
        receipt.at("manifest_sha256"));
  CHECK(has(read_file(fixture.path("proofs/" + container + ".json")), R"("level": "drilled")"));
  check_ended(fixture.bba({"gate", container, "--require", "drilled"}), 0);

  // Again, by another reference: the same name, and as JSON.
  const Ended again =
      fixture.bba({"--json", "drill",
                   fixture.backups() + "/" +
                       fixture.manifest().at("artifacts")[1].at("file").get<std::string>()});
  check_ended(again, 0);
  CHECK(parse_json(again.out) == parse_json(read_file(path)));
  CHECK(again.out != pretty_json(receipt));
  check_ended(fixture.bba({"prune", container, "--keep-last", "1"}), 0);
  CHECK(names_in(fixture.backups()).size() == 5);
}

TEST_CASE("E, content or a mode that differs after the restore: exit 7, naming the path") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  check_ended(fixture.bba({"drill", files.container}), 0);
  REQUIRE_FALSE(receipt_of(fixture).empty());
  {
    Relay relay(fixture);
    relay.replace_in_answers("the truth of a file", "the lie about a fil");
    const Ended ended = run(relay.command({"drill", files.container}));
    check_ended(ended, 7);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "data/secret: its content's sha256 is "));
  }
  const Json receipt = *parse_json(read_file(receipt_of(fixture)));
  CHECK(receipt.at("passed") == false);
  CHECK(has(receipt.at("error"), "data/secret: its content's sha256 is "));
  CHECK(run({"sha256sum", manifest_of(fixture)}).out.substr(0, 64) ==
        receipt.at("manifest_sha256"));
  // Whatever options are given, and although its bytes are intact.
  const Ended plain = fixture.bba({"gate", files.container});
  check_ended(plain, 10);
  CHECK(has(plain.err, "the last drill of this backup failed: "));
  CHECK(has(plain.err, "hint: backup-before-apply backup " + files.container));
  const std::string proof = fixture.path("proofs/" + files.container + ".json");
  CHECK_FALSE(std::filesystem::exists(proof));
  check_ended(fixture.bba({"verify", files.container}), 0);
  CHECK_FALSE(std::filesystem::exists(proof));
  CHECK(has(fixture.bba({"list"}).out, "  failed  "));
  {
    Relay relay(fixture);
    // The name fills its field, the mode follows it, and swapping digits leaves the checksum as it
    // is.
    std::string name = "data/secret";
    name.resize(100, '\0');
    relay.replace_in_answers(name + "0100640", name + "0100604");
    const Ended ended = run(relay.command({"drill", files.container}));
    check_ended(ended, 7);
    CHECK(has(ended.err, "data/secret: its mode is 0640, and 0604 after restoring"));
  }
  check_ended(fixture.bba({"drill", files.container}), 0);
  check_ended(fixture.bba({"gate", files.container, "--require", "drilled"}), 0);
  CHECK(std::filesystem::exists(proof));
  CHECK(life_of(files.container) == files.life);
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("E, a set that fails verify, or whose container is gone, is not restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  const std::string artifact =
      fixture.backups() + "/" + fixture.manifest().at("artifacts")[0].at("file").get<std::string>();
  const std::string good = read_file(artifact);
  write_file(artifact, good.substr(0, good.size() - 9));
  const Ended cut = fixture.bba({"drill", files.container});
  check_ended(cut, 7);
  CHECK(has(cut.err, "does not pass verify"));
  write_file(artifact, good);

  docker({"rename", files.container, files.container + "-other"});
  check_ended(fixture.bba({"drill", files.container}), 0);  // by its id
  docker({"rename", files.container + "-other", files.container});
  docker({"rm", "--force", files.container});
  const Ended missing = fixture.bba({"drill", files.container});
  check_ended(missing, 4);
  CHECK(has(missing.err, "is not on this engine"));
  docker({"create", "--name", files.container, "--network", "none", image});
  check_ended(fixture.bba({"drill", files.container}), 0);  // by its name
  CHECK(scratch_of(files.container) == Strings{});
}

namespace {

// A drill that stalls in the middle of its work, with a scratch container.
struct StalledDrill {
  StalledDrill(E2eFixture& fixture, std::string of, const std::string& at, std::size_t volumes = 1)
      : relay(fixture), module(std::move(of)) {
    relay.hold_at(at);
    process.emplace(relay.command({"drill", module}));
    wait_until("the drill stands still", 30s, [&] { return relay.holds() || !process->running(); });
    INFO(process->err());
    REQUIRE(process->running());
    REQUIRE(scratch_of(module).size() == 1 + volumes);
  }

  Relay relay;
  std::string module;
  std::optional<Process> process;
};

}  // namespace

TEST_CASE("E, SIGTERM and SIGINT half way: the run removes the scratch container before it ends") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  for (const int signal : {SIGTERM, SIGINT}) {
    CAPTURE(signal);
    StalledDrill stalled(fixture, files.container, "/archive?path=");
    stalled.process->signal(signal);
    check_ended(stalled.process->wait(20s), 128 + signal);
    CHECK(scratch_of(files.container) == Strings{});
    CHECK(receipt_of(fixture).empty());
    CHECK(fixture.journals() == Strings{});
  }
  CHECK(life_of(files.container) == files.life);
}

TEST_CASE("E, SIGKILL half way: the guard removes the scratch container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  StalledDrill stalled(fixture, files.container, "/archive?path=%2Fapp%2Fdata");
  stalled.relay.hold_at("");
  stalled.process->signal(SIGKILL);
  CHECK(stalled.process->wait().exit_code == -SIGKILL);
  wait_until("the scratch container is gone", 10s,
             [&] { return scratch_of(files.container).empty(); });
  fixture.wait_for_guard_to_end();
  CHECK(fixture.journals() == Strings{});
  CHECK(receipt_of(fixture).empty());
}

TEST_CASE(
    "E, SIGTERM while the engine is creating the scratch container: it is removed in the end") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  Relay relay(fixture);
  // The engine reports the new container only some time after the run has ended.
  relay.slow_down("/containers/create", 4s);
  Process drill(relay.command({"drill", files.container}));
  wait_until("the engine is asked to make it", 30s, [&] { return relay.late() == 1; });
  drill.signal(SIGTERM);
  check_ended(drill.wait(20s), 143);
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(fixture.journals().size() == 1);
  wait_until("the scratch container is there", 20s,
             [&] { return !scratch_of(files.container).empty(); });
  fixture.wait_for_guard_to_end();
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("E, no room on the engine's disk: exit 8, and no container is created") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  fixture.small_backup_directory("8m");
  const Files files(fixture);
  Relay relay(fixture);
  const std::string original = "\"DockerRootDir\":\"" +
                               docker({"info", "--format", "{{.DockerRootDir}}"}) +
                               "\",\"HttpProxy\":\"\",\"HttpsProxy\":\"\",\"NoProxy\":\"\"";
  std::string replacement = "\"DockerRootDir\":\"" + fixture.backups() + "\"";
  REQUIRE(replacement.size() <= original.size());
  replacement.resize(original.size(), ' ');
  relay.replace_in_answers(original, replacement);
  const Ended ended = run(relay.command({"drill", files.container}));
  check_ended(ended, 8);
  CHECK(has(ended.err, fixture.backups() + ", where the engine keeps its volumes, has "));
  CHECK(has(ended.err, "hint: make room"));
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(receipt_of(fixture).empty());
  CHECK(life_of(files.container) == files.life);
}

TEST_CASE("E, the run and its guard killed: recover removes the scratch container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Files files(fixture);
  {
    StalledDrill stalled(fixture, files.container, "/archive?path=");
    std::optional<pid_t> guard;
    wait_until("a guard", 10s, [&] { return (guard = fixture.guard()).has_value(); });
    REQUIRE(::kill(*guard, SIGKILL) == 0);
    stalled.process->signal(SIGKILL);
    CHECK(stalled.process->wait().exit_code == -SIGKILL);
    wait_until("the guard has ended", 10s, [&] { return !fixture.guard(); });
    CHECK(scratch_of(files.container).size() == 2);
    stalled.relay.hold_at("");
    // The engine that the journal names is the relay.
    const Ended recovered = run(stalled.relay.command({"recover"}));
    check_ended(recovered, 0);
    CHECK(recovered.out.starts_with("scratch: bba-drill-" + files.container + "-"));
  }
  CHECK(scratch_of(files.container) == Strings{});
  CHECK(fixture.journals() == Strings{});
  check_ended(fixture.bba({"drill", files.container}), 0);
}

// --- servers -------------------------------------------------------------------------------------

namespace {

std::string sha256_of(const std::string& text) {
  Setting setting;
  setting.input = text;
  return run({"sha256sum"}, setting).out.substr(0, 64);
}

// The one artifact of a set and its manifest, changed so that they agree with each other again.
struct Forgery {
  explicit Forgery(const E2eFixture& fixture)
      : path(manifest_of(fixture)),
        manifest(fixture.manifest()),
        artifact(fixture.backups() + "/" + record().at("file").get<std::string>()) {}

  Json& record() { return manifest.at("artifacts")[0]; }
  std::string text() const { return run({"gunzip", "-c", artifact}).out; }

  void put_text(const std::string& text) {
    Setting setting;
    setting.input = text;
    const std::string stored = run({"gzip", "-c"}, setting).out;
    write_file(artifact, stored);
    record()["bytes"] = stored.size();
    record()["sha256"] = sha256_of(stored);
    record()["uncompressed_bytes"] = text.size();
  }

  void put_manifest() {
    const bool has_checksum = manifest.contains("sha256");
    manifest.erase("sha256");
    std::string text = pretty_json(manifest);
    if (has_checksum) {
      text.replace(text.size() - 3, 3, ",\n");
      text += "  \"sha256\": \"" + sha256_of(text) + "\"\n}\n";
    }
    write_file(path, text);
  }

  std::string path;
  Json manifest;
  std::string artifact;
};

std::string replaced(std::string text, const std::string& part, const std::string& other) {
  const std::size_t at = text.rfind(part);
  REQUIRE(at != text.npos);
  return text.replace(at, part.size(), other);
}

}  // namespace

TEST_CASE("A, a seeded server: everything that the dump holds is restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string life = life_of(server.container());
  const EventLog log({server.container()});
  const Ended ended = fixture.bba({"drill", server.container()});
  check_ended(ended, 0);
  CHECK(life_of(server.container()) == life);
  CHECK(log.events() == Strings{});
  CHECK(has(ended.out, "1 extensions, 6 tables with 5127 rows, 5 large objects came back"));
  CHECK(scratch_of(server.container()) == Strings{});
  CHECK(fixture.journals() == Strings{});
  const Json receipt = *parse_json(read_file(receipt_of(fixture)));
  CHECK(receipt.at("class") == "A");
  CHECK(receipt.at("compared")[0].at("rows") == 5127);
  CHECK(receipt.at("not_proven") == Json::array());
  check_ended(fixture.bba({"gate", server.container(), "--require", "drilled"}), 0);
}

TEST_CASE("A, a missing row, an SQL error or a truncated dump: exit 7, naming it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string good = Forgery(fixture).text();
  const std::string end = "--\n-- PostgreSQL database cluster dump complete\n";
  const auto drill_of = [&](const std::string& text) {
    Forgery forgery(fixture);
    forgery.put_text(text);
    forgery.put_manifest();
    const Ended ended = fixture.bba({"drill", server.container()});
    CHECK_FALSE(passed(fixture));
    CHECK(scratch_of(server.container()) == Strings{});
    check_ended(ended, 7);
    return ended.err;
  };
  // Only a restore can show this: the dump itself deletes a row again.
  CHECK(has(
      drill_of(replaced(good, end, "DELETE FROM sales.orders WHERE id = 7;\n" + end)),
      "database shop: 3999 rows in table sales.orders after restoring, and the dump holds 4000"));
  CHECK(has(drill_of(replaced(good, end, "SELECT 1 / 0;\n" + end)),
            "the dump does not restore: psql ended with exit code 3"));
  // psql takes that for the end of its input, exits with 0, and ignores the rest.
  CHECK(has(drill_of(replaced(good, "COPY sales.orders", "\\q\nCOPY sales.orders")), "restor"));
  // What verify sees before anything is restored.
  const std::size_t rows = good.find("COPY sales.orders");
  const std::size_t row = good.find('\n', rows) + 1;
  std::string less = good;
  less.erase(row, good.find('\n', row) + 1 - row);
  CHECK(has(drill_of(less), "database shop: it has "));
  CHECK(has(drill_of(good.substr(0, row + 5000)), "cut inside the rows of a COPY"));
}

TEST_CASE(
    "A, a dump of which psql reads only a part: exit 7, cut at the end of a row or within one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string good = Forgery(fixture).text();
  // Somewhere among the rows.
  const std::size_t row = good.find('\n', good.find("COPY sales.orders") + 20'000) + 1;
  const std::size_t next = good.find('\n', row) + 1;
  const std::string whole_row = good.substr(row, next - row);
  REQUIRE(good.find(whole_row) == row);
  {
    // psql takes the end of what it reads for the end of the rows.
    Relay relay(fixture);
    relay.cut_after(whole_row);
    const Ended ended = run(relay.command({"drill", server.container()}));
    check_ended(ended, 7);
    INFO(ended.err);
    CHECK(has(ended.err, " after restoring, and the dump holds "));
  }
  {
    Relay relay(fixture);
    relay.cut_after(whole_row.substr(0, whole_row.rfind('\t')));
    const Ended ended = run(relay.command({"drill", server.container()}));
    check_ended(ended, 7);
    INFO(ended.err);
    CHECK(has(ended.err, "the dump does not restore: psql ended with exit code 3"));
  }
  CHECK_FALSE(passed(fixture));
  check_ended(fixture.bba({"gate", server.container()}), 10);
  CHECK(scratch_of(server.container()) == Strings{});
}

TEST_CASE("A, SIGKILL while the scratch server runs: the guard removes it with its volumes") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string life = life_of(server.container());
  StalledDrill stalled(fixture, server.container(), "/exec/", 2);
  const Strings scratch = scratch_of(server.container());
  CHECK(inspect(scratch.front()).at("State").at("Running") == true);
  stalled.relay.hold_at("");
  stalled.process->signal(SIGKILL);
  CHECK(stalled.process->wait().exit_code == -SIGKILL);
  wait_until("the scratch server is gone", 10s,
             [&] { return scratch_of(server.container()).empty(); });
  fixture.wait_for_guard_to_end();
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("A, PostgreSQL 17 with another superuser, partitions and inherited tables") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container =
      fixture.start("postgres", {"--env", "POSTGRES_PASSWORD=x", "--env", "POSTGRES_USER=boss"},
                    "bba-fixture/postgres:17");
  const Strings in_container{"docker", "-H", host(), "exec", container};
  const auto exec = [&](const Strings& words) {
    Strings argv = in_container;
    argv.insert(argv.end(), words.begin(), words.end());
    return run(argv).exit_code == 0;
  };
  wait_until("a server", 60s, [&] { return exec({"pg_isready", "-q", "-h", "127.0.0.1"}); });
  REQUIRE(exec({"psql", "-q", "-U", "boss", "-d", "boss", "-v", "ON_ERROR_STOP=1", "-c",
                "CREATE TABLE parts (id int) PARTITION BY RANGE (id);"
                "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);"
                "INSERT INTO parts SELECT generate_series(1, 5);"
                "CREATE TABLE parent (a int); INSERT INTO parent VALUES (2), (3);"
                "CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);"
                "CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES;"
                "SELECT lo_from_bytea(0, 'content');"}));
  check_ended(fixture.bba({"backup", container}), 0);
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(life_of(container) == life);
  CHECK(has(ended.out, "4 tables with 9 rows, 1 large objects came back"));
}

TEST_CASE("A, Bitnami with a user and a database of its own, and a secret in a file") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  std::filesystem::create_directory(fixture.path("secrets"));
  write_file(fixture.path("secrets/postgres"), std::string(password));
  const std::string container =
      fixture.start("postgres",
                    {"--volume", fixture.path("secrets") + ":/run/secrets:ro", "--env",
                     "POSTGRESQL_POSTGRES_PASSWORD_FILE=/run/secrets/postgres", "--env",
                     "POSTGRESQL_PASSWORD=of-the-user", "--env", "POSTGRESQL_USERNAME=shopkeeper",
                     "--env", "POSTGRESQL_DATABASE=shop"},
                    "bba-fixture/bitnami/postgresql:15");
  wait_until("a server", 60s, [&] {
    return run({"docker", "-H", host(), "exec", container, "pg_isready", "-q", "-h", "127.0.0.1"})
               .exit_code == 0;
  });
  check_ended(fixture.bba({"backup", container}), 0);
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(life_of(container) == life);
  CHECK(has(ended.out, "3 databases"));
  CHECK(scratch_of(container) == Strings{});
}

TEST_CASE("B, a seeded server: its keys are restored, and a missing one is found") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.password = std::string(redis_password);
  setup.arguments = {"--requirepass", setup.password};
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"drill", server.container()});
  check_ended(ended, 0);
  CHECK(life_of(server.container()) == life);
  CHECK(has(ended.out, "keys in 2 databases, as many as there were"));
  const Json receipt = *parse_json(read_file(receipt_of(fixture)));
  CHECK(receipt.at("not_proven") == Json::array());
  CHECK(scratch_of(server.container()) == Strings{});

  Forgery forgery(fixture);
  Json& db = forgery.record().at("found").at("keyspace").at("db0");
  const auto keys = db.at("before").at("keys").get<int>();
  const int lasting = keys - db.at("before").at("expires").get<int>();
  for (const char* moment : {"before", "after"}) {
    db.at(moment)["keys"] = keys + 1;  // one that lasts, and not one of those that expire
  }
  forgery.put_manifest();
  const Ended missing = fixture.bba({"drill", server.container()});
  check_ended(missing, 7);
  CHECK(has(missing.err, fmt::format("db0 has {} keys without a time to live after restoring, and "
                                     "the server had {}",
                                     lasting, lasting + 1)));
  CHECK_FALSE(passed(fixture));
  CHECK(scratch_of(server.container()) == Strings{});
}

TEST_CASE("B, a server whose configuration is a mounted file, and with an append-only file") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  write_file(fixture.path("redis.conf"), "save \"\"\nappendonly yes\ndir /data\n");
  const std::string data = fixture.volume("data");
  const std::string container =
      fixture.start("cache-redis",
                    {"--volume", data + ":/data", "--volume",
                     fixture.path("redis.conf") + ":/usr/local/etc/odd/redis.conf:ro"},
                    "bba-fixture/redis:7", {"redis-server", "/usr/local/etc/odd/redis.conf"});
  const auto ask = [&](const Strings& command) {
    Strings argv{"exec", container, "redis-cli"};
    argv.insert(argv.end(), command.begin(), command.end());
    return docker(argv);
  };
  wait_until("a server", 30s, [&] {
    return run({"docker", "-H", host(), "exec", container, "redis-cli", "ping"}).exit_code == 0;
  });
  ask({"SET", "kept", "1"});
  check_ended(fixture.bba({"backup", container}), 0);
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(has(ended.out, "with 1 keys in 1 databases"));
}

TEST_CASE(
    "B, a server that does not start with its restored data: exit 6, with its last log lines") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.shell =
      "if [ -e /data/dump.rdb ]; then echo it refuses; exit 3; fi; "
      "exec redis-server $SERVER_OPTIONS --save '' --dir /data";
  const RedisServer server(fixture, "redis", setup);
  server.ask({"SET", "kept", "1"});
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const Ended ended = fixture.bba({"drill", server.container()});
  check_ended(ended, 6);
  CHECK(has(ended.err, "the scratch container does not stay up: it refuses"));
  CHECK(has(ended.err, "hint: "));
  CHECK(scratch_of(server.container()) == Strings{});
  CHECK(receipt_of(fixture).empty());
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("D, the restored objects are those that the server listed, by their etags") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container = fixture.name("minio");
  const Ended started = run({std::string(BBA_SOURCE_DIR) + "/fixtures/start-minio", container,
                             "--label", "bba.fixture=1"},
                            {{{"DOCKER_HOST", host()}}, {}, {}});
  REQUIRE(started.exit_code == 0);
  Setting setting;
  setting.environment = {
      {"MINIO_MC_ALIAS", "local"},
      {"MC_HOST_local", std::string(trimmed(started.out.substr(started.out.find('=') + 1)))}};
  check_ended(fixture.bba({"backup", "--class", "D", container}, setting), 0);
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(life_of(container) == life);
  const Json found = fixture.manifest().at("artifacts")[0].at("found");
  CHECK(found.at("md5_etags") > 300);
  CHECK(has(ended.out, fmt::format("the etags of {} objects are those of the listing",
                                   found.at("md5_etags").get<int>())));
  CHECK(has(ended.out, "a fresh server took them, in 3 buckets, and lists the same"));
  CHECK(parse_json(read_file(receipt_of(fixture)))->at("not_proven").size() ==
        1);  // the one in parts

  Forgery forgery(fixture);
  std::string text = forgery.text();
  const std::string original = "object number 17";
  forgery.put_text(text.replace(text.find(original), original.size(), "object number 71"));
  forgery.put_manifest();
  const Ended other = fixture.bba({"drill", container});
  docker({"rm", "--force", "--volumes", container});
  check_ended(other, 7);
  CHECK(has(other.err, "not those that the server listed"));
}

TEST_CASE("C, a snapshot's checksums are verified, and the receipt says what cannot be proven") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container = fixture.name("vault");
  const Ended started = run({std::string(BBA_SOURCE_DIR) + "/fixtures/start-vault", container,
                             "--label", "bba.fixture=1"},
                            {{{"DOCKER_HOST", host()}}, {}, {}});
  REQUIRE(started.exit_code == 0);
  const std::size_t token = started.out.find('=') + 1;
  Setting setting;
  setting.environment["VAULT_TOKEN"] =
      started.out.substr(token, started.out.find('\n', token) - token);
  const Ended taken = fixture.bba({"backup", "--class", "C", container}, setting);
  docker({"rm", "--force", "--volumes", container});
  check_ended(taken, 0);
  // It needs neither the container nor an image: nothing is started.
  const Ended ended = fixture.bba({"drill", container});
  check_ended(ended, 0);
  CHECK(has(ended.out, "the snapshot's own sums hold"));
  CHECK(has(ended.err, "not proven: "));
  CHECK(parse_json(read_file(receipt_of(fixture)))->at("not_proven").size() == 2);
  CHECK(scratch_of(container) == Strings{});
  check_ended(fixture.bba({"gate", container, "--require", "drilled", "--skip-image-check"}), 0);
}
