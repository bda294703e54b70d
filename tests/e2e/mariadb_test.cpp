// Class H on real servers: dumps that are complete and restore, and every way in which one is not.
#include "e2e/mariadb.hpp"

#include <csignal>
#include <filesystem>

#include "e2e/fake.hpp"
#include "e2e/relay.hpp"

using namespace e2e;

namespace {

const std::map<std::string, std::string> fixture_password{
    {"MYSQL_PWD", std::string(mariadb_password)}};

void check_ended(const Ended& ended, int exit_code) {
  INFO(ended.err);
  REQUIRE(ended.exit_code == exit_code);
}

void check_fails(const MariadbServer& server, int exit_code, const Strings& said) {
  E2eFixture fixture;
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()});
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  for (const std::string& part : said) {
    CAPTURE(part);
    CHECK(has(ended.err, part));
  }
  fixture.check_nothing_left();
  CHECK_FALSE(runs_in(server.container(), "--all-databases"));
  CHECK(life_of(server.container()) == life);
}

// A program in place of the dump program.
FakeProgram fake_dump(const MariadbServer& server, const std::string& script) {
  return FakeProgram(server.container(), server.dump_program(), script);
}

std::string dump_of(const E2eFixture& fixture) {
  const std::string file = fixture.manifest().at("artifacts")[0].at("file");
  return run({"gunzip", "-c", fixture.backups() + "/" + file}).out;
}

// Backs the server up, restores the set into a fresh one whose image makes a database and a user of
// the same names, and compares.
void check_round_trip(MariadbKind kind, const std::string& strategy) {
  E2eFixture fixture;
  const MariadbServer server(fixture, "shop-mariadb", kind);
  server.seed();
  const std::string rows = server.row_counts();
  const std::string grants = server.grants();
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()});
  check_ended(ended, 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "H");
  CHECK(manifest.at("strategy") == strategy);
  CHECK(manifest.at("fallback").is_null());
  REQUIRE(manifest.at("artifacts").size() == 1);
  const Json& artifact = manifest.at("artifacts")[0];
  CHECK(artifact.at("kind") == "mysql-dump");
  CHECK(any_has(manifest.at("warnings"), "shop.counters (Aria), shop.sessions (MyISAM)"));
  CHECK(has(ended.err, "their engines have no transactions"));
  CHECK(artifact.at("found").at("databases").back().at("tables").at("orders") == 4000);
  check_ended(fixture.bba({"verify", server.container()}), 0);
  server.check_no_dump_connected();

  const Strings own{"--env", "MYSQL_DATABASE=shop",   "--env", "MYSQL_USER=shop_owner",
                    "--env", "MYSQL_PASSWORD=another"};
  const MariadbServer second(fixture, "second", kind, own);
  CHECK(second.row_counts() != rows);
  const Ended restored = fixture.restore_by_hand(second.container(), fixture_password);
  check_ended(restored, 0);
  CHECK(second.row_counts() == rows);
  CHECK(second.grants() == grants);
  CHECK(has(rows, "shop.orders\t4000\n"));
  CHECK(trimmed(second.query("SELECT @@GLOBAL.max_allowed_packet")) == "16777216");
  // Now it has databases of the dump, so a second restore is refused and changes nothing.
  second.query("DELETE FROM shop.orders WHERE id = 7");
  const std::string before = second.row_counts();
  const Ended again = fixture.restore_by_hand(second.container(), fixture_password);
  CHECK(again.exit_code == 2);
  CHECK(has(again.err, "has databases of the dump already, drop them first:"));
  CHECK(second.row_counts() == before);
}

// The one artifact of a set and its manifest, changed so that they agree with each other again.
void forge(const E2eFixture& fixture,
           const std::function<void(std::string& dump, Json& manifest)>& change) {
  const auto sha256_of = [](const std::string& text) {
    Setting setting;
    setting.input = text;
    return run({"sha256sum"}, setting).out.substr(0, 64);
  };
  std::string manifest_path;
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".manifest.json")) manifest_path = fixture.backups() + "/" + name;
  }
  Json manifest = fixture.manifest();
  std::string dump = dump_of(fixture);
  change(dump, manifest);
  Json& record = manifest.at("artifacts")[0];
  Setting setting;
  setting.input = dump;
  const std::string stored = run({"gzip", "-c"}, setting).out;
  write_file(fixture.backups() + "/" + record.at("file").get<std::string>(), stored);
  record["bytes"] = stored.size();
  record["sha256"] = sha256_of(stored);
  record["uncompressed_bytes"] = dump.size();
  manifest.erase("sha256");
  std::string text = pretty_json(manifest);
  text.replace(text.size() - 3, 3, ",\n");
  text += "  \"sha256\": \"" + sha256_of(text) + "\"\n}\n";
  write_file(manifest_path, text);
}

void insert_before(std::string& text, const std::string& part, const std::string& what) {
  const std::size_t at = text.rfind(part);
  REQUIRE(at != text.npos);
  text.insert(at, what);
}

bool scratch_is_gone(const std::string& module) {
  return docker({"ps", "--all", "--quiet", "--filter", "label=bba.scratch=" + module}).empty() &&
         docker({"volume", "ls", "--quiet", "--filter", "label=bba.scratch=" + module}).empty();
}

}  // namespace

TEST_CASE("H, MariaDB is backed up, and restored by hand into a server that is not quite empty") {
  NEEDS_ENGINE();
  check_round_trip(MariadbKind::mariadb, "mariadb-dump");
}

TEST_CASE("H, MySQL's stand-in is backed up with its own programs, and restored by hand") {
  NEEDS_ENGINE();
  check_round_trip(MariadbKind::mysql, "mysqldump");
}

TEST_CASE("H, a drill restores tables with their rows, objects and grants") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string life = life_of(server.container());
  const EventLog log({server.container()});
  const Ended ended = fixture.bba({"drill", server.container()});
  check_ended(ended, 0);
  INFO(ended.out);
  CHECK(has(ended.out, " databases, "));
  CHECK(has(ended.out, " grants came back"));
  CHECK(life_of(server.container()) == life);
  CHECK(log.events() == Strings{});
  CHECK(scratch_is_gone(server.container()));
  check_ended(fixture.bba({"gate", server.container(), "--require", "drilled"}), 0);
}

TEST_CASE("H, rows, objects and grants that a drill finds missing: exit 7") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const std::string end = "-- Dump completed";
  const std::string good = dump_of(fixture);
  const Json facts = fixture.manifest().at("facts");
  const auto drill_of = [&](const std::function<void(std::string&, Json&)>& change) {
    forge(fixture, [&](std::string& dump, Json& manifest) {
      dump = good;
      manifest["facts"] = facts;
      change(dump, manifest);
    });
    const Ended ended = fixture.bba({"drill", server.container()});
    CHECK(scratch_is_gone(server.container()));
    CHECK(ended.exit_code == 7);
    return ended.err;
  };
  const auto with = [&](const std::string& statement) {
    return drill_of([&](std::string& dump, Json&) { insert_before(dump, end, statement); });
  };
  const std::string less = with("DELETE FROM shop.orders WHERE id = 7;\n");
  CHECK(has(less,
            "database shop: 3999 rows in table orders after restoring, and the dump holds 4000"));
  CHECK(has(with("DROP TRIGGER shop.orders_changed;\n"),
            "database shop: 0 triggers after restoring, and the dump holds 1"));
  const std::string broken = with("CALL shop.missing('a secret of a row');\n");
  CHECK(has(broken, "the dump does not restore: mariadb ended with exit code 1"));
  // The client is told not to show the statement.
  CHECK_FALSE(has(broken, "a secret of a row"));
  const std::string more = drill_of([](std::string&, Json& manifest) {
    manifest["facts"]["grants"].push_back("GRANT SELECT ON `shop`.* TO `nobody`@`%`");
  });
  CHECK(has(more, "restored, an account lacks: GRANT SELECT ON `shop`.* TO `nobody`@`%`"));
  const std::string other =
      drill_of([](std::string&, Json& manifest) { manifest["facts"]["grants"].erase(0); });
  CHECK(has(other, "restored, an account has what it did not have: GRANT"));
}

TEST_CASE(
    "H, a dump of which the client reads only a part: exit 7, though the client exits with 0") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  check_ended(fixture.bba({"backup", server.container()}), 0);
  for (const auto& [said, words] :
       {std::pair<std::string, std::string>{"/*!50001 DROP VIEW IF EXISTS `sent`*/;\n",
                                            "mariadb ended before the end of it"},
        std::pair<std::string, std::string>{"CREATE TABLE `orders` (\n",
                                            "mariadb ended with exit code 1"}}) {
    Relay relay(fixture);
    relay.cut_after(said);
    const Ended ended = run(relay.command({"drill", server.container()}));
    INFO(ended.err);
    CHECK(ended.exit_code == 7);
    CHECK(has(ended.err, words));
  }
  CHECK(scratch_is_gone(server.container()));
}

TEST_CASE(
    "H, the password in the container's environment is outdated: exit 6, or the operator's works") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "changed-mariadb");
  server.query("ALTER USER root@localhost IDENTIFIED BY 'another'");
  check_fails(
      server, 6,
      {"the server could not be asked anything: mariadb as root: exit code 1: ",
       "Access denied for user 'root'@'localhost'", "hint: set MYSQL_PWD in your environment"});
  const Strings backup{"backup", server.container()};
  CHECK(fixture.bba(backup, with({{"MYSQL_PWD", "neither"}})).exit_code == 6);
  fixture.check_nothing_left();
  check_ended(fixture.bba(backup, with({{"MYSQL_PWD", "another"}})), 0);
  CHECK_FALSE(has(pretty_json(fixture.manifest()), "another"));
  // The drill needs neither the old password nor the new one.
  check_ended(fixture.bba({"drill", server.container()}), 0);
}

TEST_CASE("H, the password is read from the file that the container's environment names") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  write_file(fixture.path("password"), std::string(mariadb_password) + "\n");
  std::filesystem::permissions(fixture.path("password"), std::filesystem::perms(0644));
  const MariadbServer server(
      fixture, "file-mariadb", MariadbKind::mysql,
      {"--env", "MYSQL_ROOT_PASSWORD=", "--env", "MYSQL_ROOT_PASSWORD_FILE=/run/password",
       "--volume", fixture.path("password") + ":/run/password:ro"});
  check_ended(fixture.bba({"backup", server.container()}), 0);
}

TEST_CASE("H, a user whose dump would be incomplete with exit code 0: exit 6, naming the rights") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "limited-mariadb");
  server.seed();
  server.query(
      "CREATE USER backup@localhost IDENTIFIED BY 'of the backup'; "
      "GRANT SELECT, SHOW VIEW, LOCK TABLES, EVENT ON *.* TO backup@localhost");
  write_file(fixture.path("bba.yaml"),
             "modules:\n  " + server.container() + ":\n    user: backup\n");
  const Strings backup{"backup", server.container(), "--config", fixture.path("bba.yaml")};
  const auto password = with({{"MYSQL_PWD", "of the backup"}});
  const Ended without_triggers = fixture.bba(backup, password);
  CHECK(without_triggers.exit_code == 6);
  CHECK(has(without_triggers.err, "backup@localhost lacks rights on all databases"));
  CHECK(has(without_triggers.err, "not say so: TRIGGER"));
  CHECK(has(without_triggers.err, "modules." + server.container() + ".user"));
  fixture.check_nothing_left();
  server.query("GRANT TRIGGER ON *.* TO backup@localhost");
  check_ended(fixture.bba(backup, password), 0);
  CHECK(fixture.manifest().at("facts").at("account") == "backup@localhost");
  check_ended(fixture.bba({"drill", server.container()}), 0);
}

TEST_CASE("H, option files that would leave rows out of a dump are ignored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "options-mariadb");
  server.seed();
  docker({"exec", "-i", "-u", "root", server.container(), "sh", "-c",
          "cat >/etc/mysql/conf.d/dump.cnf"},
         "[mysqldump]\nskip-comments\nno-data\nignore-table=shop.orders\nwhere=1=0\n");
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const Json databases = fixture.manifest().at("artifacts")[0].at("found").at("databases");
  CHECK(databases.back().at("tables").at("orders") == 4000);
}

TEST_CASE("H, a system-versioned table is dumped and restored with the history of its rows") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "history-mariadb");
  server.query(
      "CREATE DATABASE shop; CREATE TABLE shop.prices (id int PRIMARY KEY, price int) WITH SYSTEM "
      "VERSIONING; INSERT INTO shop.prices VALUES (1, 10), (2, 20); UPDATE shop.prices SET price = "
      "11 WHERE id = 1");
  check_ended(fixture.bba({"backup", server.container()}), 0);
  const Json databases = fixture.manifest().at("artifacts")[0].at("found").at("databases");
  CHECK(databases.back().at("tables").at("prices") == 3);
  check_ended(fixture.bba({"drill", server.container()}), 0);
}

TEST_CASE("H, a row that is larger than the server's usual packet is restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "large-mariadb");
  server.query(
      "SET GLOBAL max_allowed_packet = 1073741824; CREATE DATABASE shop; "
      "CREATE TABLE shop.blobs (content longblob)");
  server.query("INSERT INTO shop.blobs VALUES (REPEAT('x', 20000000))");
  server.query("SET GLOBAL max_allowed_packet = 16777216");
  check_ended(fixture.bba({"backup", server.container()}), 0);
  check_ended(fixture.bba({"drill", server.container(), "--memory", "2GiB"}), 0);
}

TEST_CASE("H, the program is missing: exit 6, and the engine's error does not become an artifact") {
  NEEDS_ENGINE();
  const MariadbServer& server = shared_mariadb();
  const HiddenProgram hidden(server.container(), "mariadb-dump");
  check_fails(server, 6, {"mariadb-dump: ", "could not be started"});
}

TEST_CASE("H, half a dump and exit code 1: exit 6, with the program's error output") {
  NEEDS_ENGINE();
  const MariadbServer& server = shared_mariadb();
  const FakeProgram fake = fake_dump(server,
                                     "\"$REAL\" \"$@\" | head -c 200000\n"
                                     "echo 'mariadb-dump: Error 2013: Lost connection' >&2\n"
                                     "exit 1\n");
  check_fails(server, 6, {"exit code 1", "mariadb-dump: Error 2013: Lost connection"});
}

TEST_CASE("H, half a dump and exit code 0: exit 6") {
  NEEDS_ENGINE();
  const MariadbServer& server = shared_mariadb();
  const FakeProgram fake = fake_dump(server, "\"$REAL\" \"$@\" | head -c 200000\n");
  check_fails(server, 6, {"without the line \"-- Dump completed\": cut inside"});
}

TEST_CASE("H, a dump without its last line, and exit code 0: exit 6") {
  NEEDS_ENGINE();
  const MariadbServer& server = shared_mariadb();
  const FakeProgram fake = fake_dump(server, "\"$REAL\" \"$@\" | head -n -1\n");
  check_fails(server, 6, {"without the line \"-- Dump completed\""});
}

TEST_CASE("H, a view whose table is gone: exit 6, and the error says what to do") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "view-mariadb");
  server.query(
      "CREATE DATABASE shop; CREATE TABLE shop.t (id int); CREATE VIEW shop.broken AS SELECT id "
      "FROM shop.t; DROP TABLE shop.t");
  check_fails(server, 6, {"View 'shop.broken' references invalid table", "hint: drop that view"});
}

TEST_CASE("H, the backup directory's file system is full: exit 8") {
  NEEDS_ENGINE();
  const MariadbServer& server = shared_mariadb();
  E2eFixture fixture;
  fixture.small_backup_directory("256k");
  const Ended ended = fixture.bba({"backup", server.container()});
  CHECK(ended.exit_code == 8);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "No space left on device"));
  fixture.check_nothing_left();
  server.check_no_dump_connected();
}

TEST_CASE("H, a container that is stopped or paused: exit 4 with a hint, and it stays so") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string stopped = fixture.create("stopped-mariadb", {}, "bba-fixture/mariadb:10");
  const Ended created = fixture.bba({"backup", stopped});
  CHECK(created.exit_code == 4);
  CHECK(has(created.err, "hint: start it first, or take its files as they are with --class E"));
  const MariadbServer& server = shared_mariadb();
  docker({"pause", server.container()});
  const Ended ended = fixture.bba({"backup", server.container()});
  CHECK(ended.exit_code == 4);
  CHECK(has(ended.err, "hint: unpause it first"));
  CHECK(paused(server.container()));
  docker({"unpause", server.container()});
  fixture.check_nothing_left();
}

TEST_CASE("H, SIGTERM half way: 143, and the program in the container has ended") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  const WaitingProgram dump(server.container(), "mariadb-dump", "*--all-databases*", 500'000);
  const std::string life = life_of(server.container());
  Process run = fixture.begin({"backup", server.container()});
  dump.wait_until_half_way(run);
  run.signal(SIGTERM);
  const Ended ended = run.wait(15s);
  INFO(ended.err);
  CHECK(ended.exit_code == 143);
  CHECK(ended.out.empty());
  CHECK_FALSE(runs_in(server.container(), "--all-databases"));
  CHECK(life_of(server.container()) == life);
  server.check_no_dump_connected();
  fixture.check_nothing_left();
  fixture.wait_for_guard_to_end();
}

TEST_CASE("H, the container is killed half way: exit 6") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer server(fixture, "killed-mariadb");
  server.seed();
  const WaitingProgram dump(server.container(), "mariadb-dump", "*--all-databases*", 500'000);
  Process run = fixture.begin({"backup", server.container()});
  dump.wait_until_half_way(run);
  docker({"kill", server.container()});
  const Ended ended = run.wait(30s);
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  fixture.check_nothing_left();
  // So that the fake programs can be removed.
  docker({"start", server.container()});
}

TEST_CASE("H, passwords and their digests are in no output, no manifest and no argv") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  const EventLog log({server.container()});
  const Strings digests = [&] {
    Strings all;
    const std::string text = server.query(
        "SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE "
        "JSON_VALUE(Priv, '$.authentication_string') LIKE '*%'");
    for (const std::string_view line : split(text, '\n')) {
      if (!line.empty()) all.emplace_back(line);
    }
    return all;
  }();
  REQUIRE(digests.size() > 2);
  std::string said;
  for (const Strings& arguments : {Strings{"-v", "plan", server.container()},
                                   Strings{"-v", "plan", server.container(), "--json"},
                                   Strings{"-v", "backup", server.container(), "--json"},
                                   Strings{"-v", "drill", server.container()}}) {
    const Ended ended = fixture.bba(arguments);
    check_ended(ended, 0);
    said += ended.out + ended.err;
  }
  said += pretty_json(fixture.manifest()) + join(log.events(), "\n");
  REQUIRE(has(said, "exec_create: mariadb-dump --no-defaults"));
  CHECK_FALSE(has(said, std::string(mariadb_password)));
  for (const std::string& digest : digests) CHECK_FALSE(has(said, digest));
}

TEST_CASE("H, plan changes nothing, and shows the request that backup sends") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const MariadbServer& server = shared_mariadb();
  const std::string life = life_of(server.container());
  const EventLog plan_log({server.container()});
  const Ended planned = fixture.bba({"plan", server.container(), "--json"});
  check_ended(planned, 0);
  CHECK(life_of(server.container()) == life);
  CHECK_FALSE(std::filesystem::exists(fixture.backups()));
  for (const std::string& event : plan_log.events()) {
    // It asks the server, and nothing else.
    const bool asks = event.starts_with("exec_create: mariadb --") ||
                      event.starts_with("exec_start: mariadb --") || event.starts_with("exec_die");
    CAPTURE(event);
    CHECK(asks);
  }
  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  REQUIRE(plan->at("requests").size() == 1);
  const std::string request = plan->at("requests")[0];
  const std::string head = "POST /containers/" + server.container() + "/exec with MYSQL_PWD: ";
  REQUIRE(request.starts_with(head));
  const EventLog backup_log({server.container()});
  check_ended(fixture.bba({"backup", server.container()}), 0);
  CHECK(has(join(backup_log.events(), "\n"),
            "exec_create: " + request.substr(head.size()) + " " + server.container()));
}
