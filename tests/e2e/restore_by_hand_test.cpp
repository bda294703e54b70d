// A shell runs the manifest's restore commands against difficult targets: used ones, an
// image's own fresh cluster, files that are mounted, credentials that are missing.
#include <cstdlib>
#include <filesystem>
#include <map>

#include <doctest/doctest.h>

#include "e2e/postgres.hpp"
#include "e2e/redis.hpp"
#include "e2e/support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* files_image = "bba-fixture/files:1";
const Strings forever{"sleep", "1000000"};

std::string shell(const std::string& container, const std::string& script) {
  return docker({"exec", container, "sh", "-ec", script});
}

// A PostgreSQL container with the environment of a compose file, once its real server answers.
std::string postgres(E2eFixture& fixture, const std::string& what, const Strings& environment) {
  Strings options;
  for (const std::string& one : environment) options.insert(options.end(), {"--env", one});
  const std::string container = fixture.start(what, options, "bba-fixture/postgres:15");
  wait_until("a server in " + container, 60s, [&] {
    return run({"docker", "-H", host(), "exec", container, "pg_isready", "-q", "-h", "127.0.0.1"})
               .exit_code == 0;
  });
  return container;
}

std::string ask(const std::string& container, const std::string& role, const std::string& database,
                const std::string& sql) {
  return docker({"exec", container, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U",
                 role, "-d", database, "-c", sql});
}

void check_backed_up(const E2eFixture& fixture, const std::string& container,
                     const Strings& options = {}) {
  Strings command{"backup", container};
  command.insert(command.end(), options.begin(), options.end());
  const Ended ended = fixture.bba(command);
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
}

// A program of that name that stands before the real one in first_in_path(fixture.path("bin")).
void make_program(const E2eFixture& fixture, const std::string& name, const std::string& script) {
  fs::create_directories(fixture.path("bin"));
  write_file(fixture.path("bin/" + name), "#!/bin/sh\n" + script);
  fs::permissions(fixture.path("bin/" + name), fs::perms::owner_all);
}

std::map<std::string, std::string> first_in_path(const std::string& directory) {
  const char* path = std::getenv("PATH");
  return {{"PATH", directory + ":" + (path == nullptr ? "/usr/bin:/bin" : path)}};
}

}  // namespace

TEST_CASE("by hand, PostgreSQL: into the image's own fresh cluster with a user and a database") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Strings environment{"POSTGRES_USER=forgejo", "POSTGRES_DB=forgejo",
                            "POSTGRES_PASSWORD=s3cret"};
  const std::string first = postgres(fixture, "forgejo-postgres", environment);
  ask(first, "forgejo", "forgejo", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
  ask(first, "forgejo", "forgejo", "CREATE ROLE reader LOGIN");
  check_backed_up(fixture, first, {"--class", "A"});

  // It has made role and database itself; nobody has exported a password, and there is no terminal.
  const std::string second = postgres(fixture, "second", environment);
  const Ended restored = fixture.restore_by_hand(second);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(ask(second, "forgejo", "forgejo", "SELECT count(*) FROM t") == "1000");
  CHECK(ask(second, "forgejo", "postgres",
            "SELECT count(*) FROM pg_roles WHERE rolname = 'reader'") == "1");
}

TEST_CASE("by hand, PostgreSQL: a database that exists in the target is kept under another name") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Strings environment{"POSTGRES_PASSWORD=s3cret", "POSTGRES_DB=shop"};
  const std::string first = postgres(fixture, "shop-postgres", environment);
  ask(first, "postgres", "shop", "CREATE TABLE t AS SELECT 'before' AS word");
  check_backed_up(fixture, first, {"--class", "A"});
  ask(first, "postgres", "shop", "UPDATE t SET word = 'after'");
  const Ended restored = fixture.restore_by_hand(first);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(ask(first, "postgres", "shop", "SELECT word FROM t") == "before");
  const std::string aside =
      ask(first, "postgres", "postgres",
          "SELECT datname FROM pg_database WHERE datname LIKE 'shop\\_before\\_%'");
  REQUIRE(has(aside, "shop_before_"));
  ask(first, "postgres", "postgres", "ALTER DATABASE \"" + aside + "\" ALLOW_CONNECTIONS true");
  CHECK(ask(first, "postgres", aside, "SELECT word FROM t") == "after");
}

TEST_CASE(
    "by hand, PostgreSQL: a dump that fails to restore leaves the existing database as it was") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Strings environment{"POSTGRES_PASSWORD=s3cret", "POSTGRES_DB=shop"};
  const std::string first = postgres(fixture, "shop-postgres", environment);
  ask(first, "postgres", "shop", "CREATE EXTENSION pgcrypto; CREATE TABLE t AS SELECT 1 AS n");
  check_backed_up(fixture, first, {"--class", "A"});
  // The target's image lacks the extension.
  const std::string second = postgres(fixture, "second", environment);
  ask(second, "postgres", "shop", "CREATE TABLE kept AS SELECT 2 AS n");
  docker({"exec", "-u", "root", second, "sh", "-ec",
          "find / -xdev -name 'pgcrypto.control' -exec mv {} {}.gone \\;"});
  const Ended restored = fixture.restore_by_hand(second);
  INFO(restored.err);
  CHECK(restored.exit_code != 0);
  CHECK(has(restored.err, "pgcrypto"));
  CHECK(has(restored.err, "putting back what was there"));
  CHECK(ask(second, "postgres", "shop", "SELECT n FROM kept") == "2");
}

TEST_CASE("by hand, PostgreSQL: an artifact that cannot be read to its end restores nothing") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Strings environment{"POSTGRES_PASSWORD=s3cret", "POSTGRES_DB=shop"};
  const std::string first = postgres(fixture, "shop-postgres", environment);
  ask(first, "postgres", "shop", "CREATE TABLE t AS SELECT 'before' AS word");
  check_backed_up(fixture, first, {"--class", "A"});
  ask(first, "postgres", "shop", "UPDATE t SET word = 'after'");
  // Half of a dump ends between two statements: psql takes it, and ends with exit code 0.
  make_program(fixture, "gunzip", "/bin/gunzip \"$@\" | sed '/^\\\\connect shop/,$d'\nexit 1\n");
  const Ended restored = fixture.restore_by_hand(first, first_in_path(fixture.path("bin")));
  INFO(restored.err);
  CHECK(restored.exit_code == 1);
  CHECK(has(restored.err, "could not be read to its end"));
  CHECK(ask(first, "postgres", "shop", "SELECT word FROM t") == "after");
}

TEST_CASE("by hand, PostgreSQL: a server with another socket directory is reached at 127.0.0.1") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string first = postgres(fixture, "shop-postgres", {"POSTGRES_PASSWORD=s3cret"});
  ask(first, "postgres", "postgres", "CREATE DATABASE shop");
  ask(first, "postgres", "shop", "CREATE TABLE t AS SELECT 'before' AS word");
  ask(first, "postgres", "postgres", "ALTER SYSTEM SET unix_socket_directories = '/tmp'");
  docker({"restart", first});
  const auto over_tcp = [&](const std::string& sql) {
    return docker({"exec", "-e", "PGPASSWORD=s3cret", first, "psql", "-X", "-A", "-t", "-q", "-h",
                   "127.0.0.1", "-U", "postgres", "-d", "shop", "-c", sql});
  };
  wait_until("a server in " + first, 60s, [&] {
    return run({"docker", "-H", host(), "exec", first, "pg_isready", "-q", "-h", "127.0.0.1"})
               .exit_code == 0;
  });
  check_backed_up(fixture, first, {"--class", "A"});
  CHECK(fixture.manifest().at("facts").at("connection").at("host") == "127.0.0.1");
  over_tcp("UPDATE t SET word = 'after'");
  const Ended restored = fixture.restore_by_hand(first, {{"PGPASSWORD", "s3cret"}});
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(over_tcp("SELECT word FROM t") == "before");
}

TEST_CASE("by hand, PostgreSQL: a dump made by a second superuser is restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string first =
      postgres(fixture, "shop-postgres", {"POSTGRES_PASSWORD=s3cret", "POSTGRES_USER=owner"});
  ask(first, "owner", "owner", "CREATE ROLE dumper SUPERUSER LOGIN");
  ask(first, "owner", "owner", "CREATE TABLE t AS SELECT 7 AS n");
  write_file(fixture.path("config.yaml"),
             "modules:\n  " + first + ":\n    user: dumper\n    class: A\n");
  check_backed_up(fixture, first, {"--config", fixture.path("config.yaml")});
  CHECK(fixture.manifest().at("facts").at("role") == "dumper");
  CHECK(fixture.manifest().at("facts").at("bootstrap_role") == "owner");
  const std::string second =
      postgres(fixture, "second", {"POSTGRES_PASSWORD=s3cret", "POSTGRES_USER=owner"});
  const Ended restored = fixture.restore_by_hand(second);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(ask(second, "owner", "owner", "SELECT n FROM t") == "7");
}

TEST_CASE("by hand, files: a used volume gets exactly the old state while its users are stopped") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string first =
      fixture.start("kuma", {"--volume", volume + ":/app/data"}, files_image, forever);
  const std::string other =
      fixture.start("reader", {"--volume", volume + ":/shared:ro"}, files_image, forever);
  shell(first,
        "cd /app/data; sqlite3 app.db 'CREATE TABLE t(n); INSERT INTO t VALUES (1)'; mkdir -p a/b; "
        "echo old >a/b/file; chmod 750 a");
  const auto before = inventory(volume_path(volume));
  check_backed_up(fixture, first);

  // Newer files, a newer row, and a write-ahead log that belongs to neither state.
  shell(
      first,
      "cd /app/data; echo new >newer; rm -r a; sqlite3 app.db 'INSERT INTO t VALUES (2)'; head -c "
      "32768 /dev/urandom >app.db-wal; head -c 32768 /dev/urandom >app.db-shm");
  const EventLog log({first, other});
  const Ended restored = fixture.restore_by_hand(first);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(difference(before, inventory(volume_path(volume))) == "");
  CHECK(shell(first, "sqlite3 /app/data/app.db 'PRAGMA integrity_check; SELECT n FROM t'") ==
        "ok\n1");
  CHECK(inspect(other).at("State").at("Running") == true);
  const Strings events = log.events();
  CHECK(std::count(events.begin(), events.end(), "stop " + other) == 1);
  CHECK(std::count(events.begin(), events.end(), "start " + other) == 1);
}

TEST_CASE("by hand, files: a failed restore puts the old files back and starts the service") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string first =
      fixture.start("kuma", {"--volume", volume + ":/app/data"}, files_image, forever);
  shell(first, "cd /app/data; mkdir sub; echo old >sub/file; echo one >one");
  check_backed_up(fixture, first);
  shell(first, "cd /app/data; echo new >sub/file; echo newer >newer; rm one");
  const auto now_there = inventory(volume_path(volume));

  // A docker that copies only half of its input, and exits with 0.
  const std::string real = run({"sh", "-c", "command -v docker"}).out;
  make_program(
      fixture, "docker",
      "if [ \"$1\" = cp ] && [ \"$2\" = - ]; then cat >/dev/null; exit 0; fi\nexec " + real);
  const Ended restored = fixture.restore_by_hand(first, first_in_path(fixture.path("bin")));
  INFO(restored.err);
  CHECK(restored.exit_code != 0);
  CHECK(has(restored.err, "putting back what was there"));
  CHECK(difference(now_there, inventory(volume_path(volume))) == "");
  CHECK(inspect(first).at("State").at("Running") == true);

  // A damaged artifact is found before anything is stopped.
  const std::string life = life_of(first);
  const std::string file =
      fixture.backups() + "/" + fixture.manifest().at("artifacts")[0].at("file").get<std::string>();
  write_file(file, read_file(file).substr(0, 100));
  CHECK(fixture.restore_by_hand(first).exit_code != 0);
  CHECK(life_of(first) == life);
}

TEST_CASE("by hand, files: a single file that is mounted is overwritten in place") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  write_file(fixture.path("app.db"), "the old content");
  fs::permissions(fixture.path("app.db"), fs::perms::owner_read | fs::perms::owner_write);
  const std::string first = fixture.start(
      "kuma", {"--volume", fixture.path("app.db") + ":/app/app.db"}, files_image, forever);
  check_backed_up(fixture, first);
  shell(first, "echo newer and much longer than before >/app/app.db");
  const Ended restored = fixture.restore_by_hand(first);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(read_file(fixture.path("app.db")) == "the old content");
  CHECK(shell(first, "cat /app/app.db") == "the old content");
  for (const std::string& name : names_in(fixture.path(""))) CHECK_FALSE(has(name, ".bba-"));
}

TEST_CASE("by hand, Redis: an RDB alone is restored into a server that keeps an append-only file") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  check_backed_up(fixture, server.container());
  RedisSetup setup;
  setup.arguments = {"--appendonly", "yes"};
  const RedisServer second(fixture, "second", setup);
  second.ask({"SET", "newer", "than the backup"});
  const Ended restored = fixture.restore_by_hand(second.container());
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  second.wait_until_ready();
  CHECK(second.info("aof_enabled") == "1");
  CHECK(second.keyspace() == server.keyspace());
  CHECK(second.digest() == server.digest());
}

}  // namespace e2e
