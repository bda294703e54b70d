// Class H: the commands of a restore, the server that a drill makes, and which images are meant.
#include "services/mariadb/restore.hpp"

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/service/restore_steps.hpp"
#include "services/mariadb/mariadb.hpp"

namespace bba::services::mariadb {
namespace {

std::string commands_of(const Json& facts, const Json& found) {
  store::Manifest manifest;
  manifest.facts = facts;
  store::ArtifactRecord record;
  record.file = "db.sql.gz";
  record.sha256 = std::string(64, '0');
  record.found = found;
  std::string text;
  for (const auto& of_one :
       service::shell_commands("db", {record}, {dump_kind().restore(manifest, record)})) {
    text += join(of_one, "\n") + "\n";
  }
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("mariadb: a restore by hand checks before it changes anything, and recognises its end") {
  const std::string commands = commands_of(
      {{"connection", {{"client", "mysql"}, {"socket", "/tmp/my.sock"}, {"port", 3307U}}}},
      {{"databases", {{{"name", "mysql"}}, {{"name", "shop"}}, {{"name", "it's"}}}}});
  CHECK(has(commands,
            "until docker exec \"$TARGET\" mysqladmin --no-defaults --protocol=tcp "
            "--host=127.0.0.1 --port=3307 ping"));
  CHECK(has(commands,
            "docker exec -e MYSQL_PWD \"$TARGET\" mysql --no-defaults --host=localhost "
            "--protocol=socket --socket=/tmp/my.sock --user=root"));
  const std::size_t looks = commands.find("('\\''shop'\\'', '\\''it'\\'''\\''s'\\'')");
  const std::size_t feeds = commands.find("gunzip -c -- db.sql.gz && printf");
  REQUIRE(looks != commands.npos);
  REQUIRE(feeds != commands.npos);
  CHECK(looks < commands.find("SET GLOBAL"));
  CHECK(looks < feeds);
  // The database mysql is in every server, so it is not looked for.
  CHECK_FALSE(has(commands, "'\\''mysql'\\''"));
  CHECK(has(commands, "FLUSH PRIVILEGES"));
  CHECK(has(commands, "--max-allowed-packet=1G --loose-skip-print-query-on-error"));
}

TEST_CASE("mariadb: a drill's server has its own root, and nothing that its image would create") {
  const service::FreshTarget fresh = fresh_server();
  CHECK(fresh.data_volumes);
  CHECK(fresh.lend_configuration);
  for (const std::string prefix : {"MARIADB_", "MYSQL_"}) {
    CHECK(fresh.set_env.contains(prefix + "ROOT_PASSWORD"));
    for (const char* name : {"ROOT_PASSWORD_FILE", "DATABASE", "USER", "PASSWORD",
                             "RANDOM_ROOT_PASSWORD", "REPLICATION_MODE"}) {
      CHECK(fresh.unset_env.contains(prefix + name));
    }
  }
}

TEST_CASE("mariadb: which modules and images are of class H") {
  const std::vector<conf::ClassRule> rules{mariadb().default_rule()};
  const auto is_one = [&](const std::string& module, const std::string& image) {
    return conf::choose_class(rules, module, image).has_value();
  };
  for (const char* image :
       {"mariadb:10.11", "docker.io/library/mysql:8.0", "bitnami/mariadb:11", "bitnami/mysql",
        "bitnami/mariadb-galera", "lscr.io/linuxserver/mariadb:latest", "mysql/mysql-server:8.0",
        "container-registry.oracle.com/mysql/community-server:8.0", "percona/percona-server:8.0",
        "percona:8", "bba-fixture/mariadb:10"}) {
    CAPTURE(image);
    CHECK(is_one("db", image));
  }
  for (const char* image : {"prom/mysqld-exporter:v0.15", "phpmyadmin/phpmyadmin", "adminer",
                            "percona/percona-xtrabackup", "mysql/mysql-router", "postgres:16"}) {
    CAPTURE(image);
    CHECK_FALSE(is_one("db", image));
  }
  CHECK(is_one("nextcloud-mariadb", "anything"));
  CHECK(is_one("mysql", "anything"));
  CHECK_FALSE(is_one("mysql-exporter", "anything"));
}

}  // namespace bba::services::mariadb
