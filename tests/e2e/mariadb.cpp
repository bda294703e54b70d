#include "e2e/mariadb.hpp"

namespace e2e {

namespace {

// A statement for each table, whose answer is its name and its rows.
constexpr const char* count_statements =
    "SELECT CONCAT('SELECT ', QUOTE(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)), ', COUNT(*) FROM `', "
    "REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`;') FROM "
    "information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN "
    "('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY TABLE_SCHEMA, "
    "TABLE_NAME";

constexpr const char* object_counts =
    "SELECT 'routines', ROUTINE_SCHEMA, COUNT(*) FROM information_schema.ROUTINES GROUP BY 2 UNION "
    "ALL SELECT 'views', TABLE_SCHEMA, COUNT(*) FROM information_schema.VIEWS GROUP BY 2 UNION ALL "
    "SELECT 'triggers', TRIGGER_SCHEMA, COUNT(*) FROM information_schema.TRIGGERS GROUP BY 2 UNION "
    "ALL SELECT 'events', EVENT_SCHEMA, COUNT(*) FROM information_schema.EVENTS GROUP BY 2 ORDER "
    "BY 1, 2";

constexpr const char* grant_statements =
    "SELECT CONCAT('SHOW GRANTS FOR ', QUOTE(User), IF(Host = '', '', CONCAT('@', QUOTE(Host))), "
    "';') FROM mysql.global_priv ORDER BY User, Host";

}  // namespace

MariadbServer::MariadbServer(E2eFixture& fixture, const std::string& what, MariadbKind kind,
                             const Strings& options, const Strings& arguments)
    : kind_(kind) {
  const bool is_mysql = kind == MariadbKind::mysql;
  Strings all{"--env", (is_mysql ? "MYSQL_ROOT_PASSWORD=" : "MARIADB_ROOT_PASSWORD=") +
                           std::string(mariadb_password)};
  all.insert(all.end(), options.begin(), options.end());
  // Arguments alone are the server's.
  container_ = fixture.start(what, all, is_mysql ? "bba-fixture/mysql:8" : "bba-fixture/mariadb:10",
                             arguments);
  wait_until_ready();
}

// Over TCP: the server of the image's own set-up listens on the socket only.
void MariadbServer::wait_until_ready() const {
  wait_until("a server in " + container_, 60s, [&] {
    return run(exec({client(), "--user=root", "--protocol=tcp", "--host=127.0.0.1",
                     "--execute=SELECT 1"}))
               .exit_code == 0;
  });
}

Strings MariadbServer::exec(const Strings& argv, std::string_view password) const {
  Strings all{"docker", "-H", host(), "exec", "-i", "-e", "MYSQL_PWD=" + std::string(password)};
  all.push_back(container_);
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

void MariadbServer::seed() const {
  Setting setting;
  setting.environment["BBA_SEED_ROWS"] = "4000";
  const Ended ended = run({std::string(BBA_SOURCE_DIR) + "/fixtures/seed-mariadb", container_,
                           "--env", "MYSQL_PWD=" + std::string(mariadb_password)},
                          setting);
  if (ended.exit_code != 0) throw std::runtime_error("seeding: " + ended.err);
}

std::string MariadbServer::query(const std::string& sql) const {
  Setting setting;
  setting.input = sql;
  const Ended ended =
      run(exec({client(), "--user=root", "--batch", "--raw", "--skip-column-names"}), setting);
  if (ended.exit_code != 0) throw std::runtime_error(client() + ": " + ended.err);
  return ended.out;
}

std::string MariadbServer::row_counts() const {
  return query(query(count_statements)) + query(object_counts);
}

std::string MariadbServer::grants() const {
  return query(query(grant_statements));
}

void MariadbServer::check_no_dump_connected() const {
  CHECK(trimmed(query("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND IN "
                      "('Query', 'Sleep') AND ID <> CONNECTION_ID()")) == "0");
}

const MariadbServer& shared_mariadb() {
  static E2eFixture fixture;
  static const MariadbServer server = [] {
    MariadbServer made(fixture, "mariadb");
    made.seed();
    return made;
  }();
  return server;
}

}  // namespace e2e
