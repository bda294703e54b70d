// Class H: how to reach the server, what to ask, and what the answers mean.
#include "services/mariadb/server.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/support.hpp"

namespace bba::services::mariadb {
namespace {

using Names = std::vector<std::string>;

// What MariaDB 10.11 and 8.0 answered, shortened.
const std::string answer =
    "server\t10.11.18-MariaDB-0+deb12u1\troot@localhost\n"
    "right\tSELECT\nright\tLOCK TABLES\nright\tSHOW VIEW\nright\tEVENT\nright\tTRIGGER\n"
    "database\tEmpty one\t0\ndatabase\tmysql\t3563520\ndatabase\tshop\t2185520\n"
    "no transactions\tshop.counters\tAria\nno transactions\tshop.sessions\tMyISAM\n"
    "account\tSHOW GRANTS FOR 'auditors'\n"
    "account\tSHOW GRANTS FOR 'report\\\\'s reader'@'localhost'\n";

const Connection over_socket{{"mariadb"}, "/run/mysqld/mysqld.sock"};

Facts facts_of(const std::string& out) {
  const auto facts = parse_probe(out);
  REQUIRE(facts);
  return *facts;
}

service::Capture capture_of(const Facts& facts, const Programs& programs = {"mariadb"}) {
  Connection connection = over_socket;
  connection.programs = programs;
  connection.env = {{"MYSQL_PWD", "hunter2"}};
  return dump_capture(test::target("db", 'H'), connection, {connection.socket, 3306, true}, facts,
                      {"GRANT USAGE ON *.* TO `a`@`%`"});
}

const wire::ExecConfig& dump_of(const service::Capture& capture) {
  REQUIRE(capture.parts.size() == 1);
  return std::get<service::ExecDump>(capture.parts[0].what).exec;
}

bool has(const Names& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

}  // namespace

TEST_CASE("mariadb: each family's programs are called by its names") {
  Names names;
  for (const Programs& one : known_programs()) {
    names.push_back(one.client + " " + one.dump() + " " + one.admin());
  }
  CHECK(names[0] == "mariadb mariadb-dump mariadb-admin");
  CHECK(names[1] == "mysql mysqldump mysqladmin");
  CHECK(names[2] ==
        "/opt/bitnami/mariadb/bin/mariadb /opt/bitnami/mariadb/bin/mariadb-dump "
        "/opt/bitnami/mariadb/bin/mariadb-admin");
}

TEST_CASE("mariadb: the server's address is found") {
  const auto place = parse_place("/run/mysqld/mysqld.sock\t3306\t0\n");
  REQUIRE(place);
  CHECK(place->socket == "/run/mysqld/mysqld.sock");
  CHECK(place->port == 3306);
  CHECK(place->networking);
  CHECK_FALSE(parse_place("/run/mysqld/mysqld.sock\t0\t1\n")->networking);
  CHECK_FALSE(parse_place(""));
  CHECK_FALSE(parse_place("\t3306\t0\n"));
  CHECK_FALSE(parse_place("ERROR 1045"));
}

TEST_CASE("mariadb: rows with tabs, newlines and backslashes in their columns are read") {
  const auto rows = parse_rows("a\\tb\tc\\nd\n\\\\n\t\\0\t\n");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0] == Names{"a\tb", "c\nd"});
  CHECK(rows[1] == Names{"\\n", std::string(1, '\0'), ""});
  CHECK(parse_rows("").empty());
}

TEST_CASE("mariadb: a server's answer about itself is read") {
  const Facts facts = facts_of(answer);
  CHECK(facts.version == "10.11.18-MariaDB-0+deb12u1");
  CHECK(facts.is_mariadb());
  CHECK(facts.account == "root@localhost");
  CHECK(facts.databases.size() == 3);
  CHECK(facts.databases[2].bytes == 2185520);
  CHECK(facts.without_transactions[1].name == "shop.sessions");
  CHECK(facts.without_transactions[1].engine == "MyISAM");
  CHECK(facts.show_grants ==
        Names{"SHOW GRANTS FOR 'auditors'", "SHOW GRANTS FOR 'report\\'s reader'@'localhost'"});
  CHECK_FALSE(parse_probe("").has_value());
  CHECK_FALSE(parse_probe("server\t10.11\troot@localhost\n").has_value());
}

TEST_CASE("mariadb: rights without which a dump silently lacks data are required") {
  Facts facts = facts_of(answer);
  CHECK(missing_rights(facts).empty());
  std::erase(facts.rights, "TRIGGER");
  std::erase(facts.rights, "EVENT");
  CHECK(missing_rights(facts) == Names{"TRIGGER", "EVENT"});
  facts.rights = {"USAGE"};
  CHECK(missing_rights(facts) == Names{"SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "LOCK TABLES"});
}

TEST_CASE("mariadb: an account's rights are read, without the digest of its password") {
  CHECK(parse_grants(
            "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*C633' WITH GRANT OPTION\n"
            "GRANT USAGE ON *.* TO `b`@`%` IDENTIFIED VIA unix_socket OR ed25519 USING 'it\\\\'s "
            "x' REQUIRE SSL\n"
            "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION\n"
            "GRANT USAGE ON *.* TO 'a IDENTIFIED BY'@'%'\n"
            "GRANT SELECT (`id`) ON `x IDENTIFIED BY '1`.* TO `c`@`%`\n") ==
        Names{"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '...' WITH GRANT OPTION",
              "GRANT USAGE ON *.* TO `b`@`%` IDENTIFIED VIA unix_socket OR ed25519 USING '...' "
              "REQUIRE SSL",
              "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
              "GRANT USAGE ON *.* TO 'a IDENTIFIED BY'@'%'",
              "GRANT SELECT (`id`) ON `x IDENTIFIED BY '1`.* TO `c`@`%`"});
  // MariaDB keeps columns in the order of a hash.
  CHECK(in_one_order("GRANT SELECT (`placed`, `id`) ON `shop`.`orders` TO `a`") ==
        in_one_order("GRANT SELECT (`id`, `placed`) ON `shop`.`orders` TO `a`"));
  CHECK(in_one_order("GRANT SELECT ON `a`.* TO `b`") !=
        in_one_order("GRANT SELECT ON `a`.* TO `c`"));
}

TEST_CASE("mariadb: the dump uses the server's socket, and no option file") {
  const service::Capture capture = capture_of(facts_of(answer));
  CHECK(capture.strategy == "mariadb-dump");
  const wire::ExecConfig& dump = dump_of(capture);
  CHECK(join(dump.argv, " ") ==
        "mariadb-dump --no-defaults --host=localhost --protocol=socket "
        "--socket=/run/mysqld/mysqld.sock --user=root --all-databases --single-transaction --quick "
        "--routines --events --triggers --hex-blob --comments --default-character-set=utf8mb4 "
        "--max-allowed-packet=1G");
  REQUIRE(dump.env.size() == 1);
  CHECK(dump.env[0].name == "MYSQL_PWD");
  CHECK(capture.parts[0].expected_bytes == 3563520 + 2185520);
  CHECK(dump_json(capture.facts).find("hunter2") == std::string::npos);
  CHECK(capture.warnings ==
        Names{"their engines have no transactions: a write meanwhile may be in one of them and not "
              "in another: shop.counters (Aria), shop.sessions (MyISAM)"});
  CHECK(capture.incomplete.empty());
}

TEST_CASE("mariadb: MySQL is dumped by its own program, with the options that only it needs") {
  Facts facts = facts_of(answer);
  facts.version = "8.0.36";
  const service::Capture capture = capture_of(facts, {"mysql"});
  CHECK(capture.strategy == "mysqldump");
  CHECK(has(dump_of(capture).argv, "--set-gtid-purged=OFF"));
  // An old image of MariaDB has it under MySQL's name.
  facts.version = "10.3.39-MariaDB";
  CHECK_FALSE(has(dump_of(capture_of(facts, {"mysql"})).argv, "--set-gtid-purged=OFF"));
}

TEST_CASE("mariadb: the history of tables is dumped where possible, and else reported missing") {
  Facts facts = facts_of(answer + "versioned\tshop.prices\tInnoDB\n");
  CHECK(has(dump_of(capture_of(facts)).argv, "--dump-history"));
  CHECK(capture_of(facts).incomplete.empty());
  facts.version = "11.4.2-MariaDB";
  CHECK(has(dump_of(capture_of(facts)).argv, "--dump-history"));
  for (const char* version : {"10.6.18-MariaDB", "10.4.34-MariaDB-log"}) {
    facts.version = version;
    const service::Capture capture = capture_of(facts);
    CHECK_FALSE(has(dump_of(capture).argv, "--dump-history"));
    CHECK(capture.incomplete ==
          Names{"the history of tables with system versioning, which only mariadb-dump 10.11 and "
                "later can dump: shop.prices"});
  }
}

TEST_CASE("mariadb: of many tables without transactions only the first are named") {
  Facts facts = facts_of(answer);
  facts.without_transactions.clear();
  for (int i = 0; i < 25; ++i) {
    facts.without_transactions.push_back({"t" + std::to_string(i), "MyISAM"});
  }
  const service::Capture capture = capture_of(facts);
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0].ends_with("t19 (MyISAM) and 5 more"));
}

TEST_CASE("mariadb: a server that listens only on its socket can be dumped, but not drilled") {
  Facts facts = facts_of(answer);
  facts.without_transactions.clear();
  const service::Capture capture =
      dump_capture(test::target("db", 'H'), over_socket, {"/tmp/my.sock", 0, false}, facts, {});
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0].starts_with("the server listens on its socket only: a drill"));
}

TEST_CASE("mariadb: strings are quoted for SQL") {
  CHECK(sql_literal("it's a \\") == "'it''s a \\\\'");
}

}  // namespace bba::services::mariadb
