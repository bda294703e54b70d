// Restores of class H into servers that run: the rows and accounts of the set, what is kept of the
// server of today, and what is refused.
#include "e2e/mariadb.hpp"
#include "e2e/restore_support.hpp"

using namespace e2e;

namespace {

const std::string changed = "changed after the backup";
const std::string data = "/var/lib/mysql";

// A server whose data is in a volume.
struct Shop {
  Shop(E2eFixture& fixture, const Strings& more = {}, MariadbKind kind = MariadbKind::mariadb,
       const Strings& arguments = {})
      : volume(fixture.volume("data")),
        server(fixture, "shop", kind, options(more), arguments),
        parked(server.container()) {}

  const std::string& module() const { return server.container(); }

  Strings options(const Strings& more) const {
    Strings all{"--volume", volume + ":" + data};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Ended try_to_ask(const std::string& sql, std::string_view password) const {
    return run(server.exec(
        {server.client(), "--user=root", "--batch", "--skip-column-names", "--execute=" + sql},
        password));
  }
  std::string ask(const std::string& sql, std::string_view password = mariadb_password) const {
    const Ended ended = try_to_ask(sql, password);
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    return std::string(trimmed(ended.out));
  }
  // Over the socket: over TCP it is another account.
  void wait_until_it_takes(const std::string& password) const {
    wait_until("a server in " + module() + " that takes " + password, 60s,
               [&] { return try_to_ask("SELECT 1", password).exit_code == 0; });
  }
  std::string in_container(const std::string& script) const {
    return docker({"exec", "-u", "root", module(), "sh", "-ec", script});
  }

  std::string volume;
  MariadbServer server;
  Parked parked;
};

// A restore that is refused, with nothing made and the server as it was.
void check_refused(const E2eFixture& fixture, const Shop& shop, const std::string& why,
                   const Setting& setting = {}) {
  const std::string life = life_of(shop.module());
  const Ended ended = fixture.bba({"restore", shop.module(), "--yes"}, setting);
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 4);
  CHECK(has(ended.err, why));
  CHECK(has(ended.err, "hint: "));
  CHECK(fixture.journals() == Strings{});
  CHECK(shop.parked.volumes() == Strings{});
  CHECK(life_of(shop.module()) == life);
}

}  // namespace

TEST_CASE("restore, MariaDB: dump, accounts and configuration come together, and undo goes back") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // The official image's health check has its password in the data directory.
  const Shop shop(fixture, {"--health-cmd",
                            "mariadb --defaults-extra-file=" + data +
                                "/.my-healthcheck.cnf --execute 'SELECT 1'",
                            "--health-interval", "1s", "--health-retries", "60"});
  shop.server.seed();
  shop.in_container("echo old >" + data + "/server.pem");
  const std::string rows = shop.server.row_counts();
  const std::string grants = shop.server.grants();
  succeeds(fixture, {"backup", shop.module()});

  shop.ask(
      "DELETE FROM shop.orders WHERE id > 10; CREATE DATABASE newer; CREATE TABLE newer.t (id int);"
      " DROP USER shop_owner; CREATE USER later@localhost; DROP VIEW shop.sent;"
      " ALTER USER root@localhost IDENTIFIED BY '" +
      changed + "'");
  shop.in_container("echo new >" + data + "/server.pem; echo '[client]' >" + data +
                    "/my.cnf; chown mysql " + data + "/my.cnf; chmod 640 " + data + "/my.cnf");
  const std::string health = shop.in_container("cat " + data + "/.my-healthcheck.cnf");

  // The password of today is not known to it, and the one of the dump is the container's.
  const Ended done = succeeds(fixture, {"restore", shop.module(), "--yes"});
  CHECK(has(done.err, "lets nobody in whose password is known"));
  CHECK(has(done.out, "kept as it was: " + data + "/my.cnf"));
  CHECK(has(done.out, "kept as it was: " + data + "/server.pem"));
  CHECK(has(done.out, " grants came back"));
  CHECK(shop.server.row_counts() == rows);
  CHECK(shop.server.grants() == grants);
  CHECK(has(rows, "shop.orders\t4000\n"));
  CHECK(shop.try_to_ask("SELECT 1", changed).exit_code == 1);
  CHECK(shop.in_container("cat " + data + "/server.pem " + data + "/my.cnf") == "new\n[client]");
  CHECK(shop.in_container("stat -c '%U %a' " + data + "/my.cnf") == "mysql 640");
  CHECK(shop.in_container("cat " + data + "/.my-healthcheck.cnf") == health);
  CHECK(shop.in_container("stat -c '%U' " + data) == "mysql");
  CHECK(shop.parked.volumes().size() == 1);
  shop.ask("INSERT INTO shop.changes VALUES (NOW(), 'after the restore')");
  const std::string restored = shop.server.row_counts();

  succeeds(fixture, {"restore", shop.module(), "--undo", "--yes"});
  shop.wait_until_it_takes(changed);
  CHECK(shop.ask("SELECT COUNT(*) FROM shop.orders", changed) == "10");
  CHECK(shop.ask("SHOW TABLES FROM newer", changed) == "t");
  CHECK(shop.ask("SELECT GROUP_CONCAT(User ORDER BY User) FROM mysql.global_priv WHERE User IN "
                 "('later', 'shop_owner')",
                 changed) == "later");
  succeeds(fixture, {"restore", shop.module(), "--undo", "--yes"});
  shop.wait_until_it_takes(std::string(mariadb_password));
  CHECK(shop.server.row_counts() == restored);
}

TEST_CASE(
    "restore, MariaDB: a set whose root password is not known any more, of a stopped server") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Shop shop(fixture);
  shop.ask("CREATE DATABASE shop; CREATE TABLE shop.t AS SELECT seq FROM shop.seq_1_to_1000");
  shop.ask("ALTER USER root@localhost IDENTIFIED BY 'of the dump'");
  succeeds(fixture, {"backup", shop.module()}, with({{"MYSQL_PWD", "of the dump"}}));
  shop.ask("DELETE FROM shop.t; ALTER USER root@localhost IDENTIFIED BY '" + changed + "'",
           "of the dump");
  docker({"stop", shop.module()});

  const Ended done = succeeds(fixture, {"restore", shop.module(), "--yes"});
  CHECK(has(done.err, "the server is up, with the accounts of the dump"));
  CHECK(inspect(shop.module()).at("State").at("Running") == false);
  docker({"start", shop.module()});
  shop.wait_until_it_takes("of the dump");
  CHECK(shop.ask("SELECT COUNT(*) FROM shop.t", "of the dump") == "1000");
}

TEST_CASE("restore, MySQL's stand-in: rows and accounts, with its own programs") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Shop shop(fixture, {}, MariadbKind::mysql);
  shop.ask(
      "CREATE DATABASE shop; CREATE TABLE shop.t AS SELECT seq FROM shop.seq_1_to_1000; CREATE "
      "USER reader@localhost IDENTIFIED BY 'x'; GRANT SELECT ON shop.* TO reader@localhost");
  const std::string rows = shop.server.row_counts();
  const std::string grants = shop.server.grants();
  succeeds(fixture, {"backup", shop.module()});
  shop.in_container("echo '[auto]' >" + data + "/auto.cnf; echo '{}' >" + data +
                    "/mysqld-auto.cnf");
  shop.ask("DROP DATABASE shop");
  const Ended done = succeeds(fixture, {"restore", shop.module(), "--yes"});
  CHECK(has(done.out, "kept as it was: " + data + "/mysqld-auto.cnf"));
  CHECK_FALSE(has(done.out, data + "/auto.cnf"));
  CHECK(shop.server.row_counts() == rows);
  CHECK(shop.server.grants() == grants);
}

TEST_CASE("restore, MariaDB: what would not survive the exchange is refused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Shop shop(fixture);
  shop.ask("CREATE DATABASE shop; CREATE TABLE shop.t AS SELECT seq FROM shop.seq_1_to_1000");
  succeeds(fixture, {"backup", shop.module()});
  shop.ask("DELETE FROM shop.t WHERE seq > 10");

  shop.in_container("mkdir /srv/space; chown mysql /srv/space");
  shop.ask("CREATE TABLE shop.away (id int) DATA DIRECTORY='/srv/space'");
  check_refused(fixture, shop,
                "a part of the data lies outside of the data directory: shop/away.isl");
  shop.ask("DROP TABLE shop.away");
  shop.ask("CREATE TABLE shop.away (id int) ENGINE=MyISAM DATA DIRECTORY='/srv/space'");
  check_refused(fixture, shop,
                "a part of the data lies outside of the data directory: shop/away.MYD");
  shop.ask("DROP TABLE shop.away");

  shop.ask("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_USER='x', MASTER_PASSWORD='y'");
  check_refused(fixture, shop, "the server is a replica");
  docker({"stop", shop.module()});
  check_refused(fixture, shop, "the server is a replica");
  docker({"start", shop.module()});
  shop.server.wait_until_ready();
  shop.ask("STOP SLAVE; RESET SLAVE ALL");
  CHECK(shop.ask("SELECT COUNT(*) FROM shop.t") == "10");
  succeeds(fixture, {"restore", shop.module(), "--dry-run"});
}

TEST_CASE("restore, MariaDB: a log outside of the data, and another release, are refused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Shop shop(fixture, {}, MariadbKind::mariadb, {"--log-bin=/tmp/log"});
  shop.ask("CREATE DATABASE shop");
  succeeds(fixture, {"backup", shop.module()});
  check_refused(fixture, shop, "outside of the data directory: log_bin_basename is /tmp/log");

  // The same data under another release, as its version says.
  docker({"rm", "--force", shop.module()});
  Strings again{"run", "--detach", "--name", shop.module(), "--label", "bba.fixture=1"};
  for (const std::string& option : shop.options({})) again.push_back(option);
  again.insert(again.end(), {"--network", "none", "--env",
                             "MARIADB_ROOT_PASSWORD=" + std::string(mariadb_password),
                             "bba-fixture/mariadb:10", "--version=10.6.1-MariaDB"});
  docker(again);
  shop.server.wait_until_ready();
  check_refused(fixture, shop, "and the container's server is MariaDB 10.6.1");
  // Where it is stopped, only what was built can say so.
  docker({"stop", shop.module()});
  const Ended ended = fixture.bba({"restore", shop.module(), "--yes"});
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "and the container's server is MariaDB 10.6.1"));
  CHECK(shop.parked.volumes() == Strings{});
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE(
    "rollback, MariaDB: the present server is of another release, and need not read the dump") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Shop shop(fixture);
  shop.ask("CREATE DATABASE shop; CREATE TABLE shop.t (n INT); INSERT INTO shop.t VALUES (7)");
  succeeds(fixture, {"backup", shop.module()});
  docker({"rm", "--force", shop.module()});
  Strings again{"run", "--detach", "--name", shop.module(), "--label", "bba.fixture=1"};
  for (const std::string& option : shop.options({})) again.push_back(option);
  again.insert(again.end(), {"--network", "none", "--env",
                             "MARIADB_ROOT_PASSWORD=" + std::string(mariadb_password),
                             "bba-fixture/mariadb:10", "--version=11.4.1-MariaDB"});
  docker(again);
  shop.server.wait_until_ready();
  shop.ask("DROP DATABASE shop");
  succeeds(fixture, {"rollback", shop.module(), "--yes"});
  CHECK(shop.ask("SELECT n FROM shop.t") == "7");
  CHECK_FALSE(has(shop.ask("SELECT VERSION()"), "11.4"));
  succeeds(fixture, {"prune", "--parked"});
}
