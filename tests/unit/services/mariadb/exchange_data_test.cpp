#include "services/mariadb/exchange_data.hpp"

#include <filesystem>
#include <map>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/fakes.hpp"
#include "unit/sets.hpp"

namespace bba::services::mariadb {
namespace {

using namespace test;
namespace fs = std::filesystem;

wire::Mount volume_at(const std::string& destination) {
  return {"volume", "v", "/volumes/v/_data", destination, true};
}

wire::Container server(const std::string& mounted, const std::vector<std::string>& cmd = {}) {
  wire::Container live;
  live.id = "c1";
  live.name = "db";
  live.cmd = cmd;
  live.mounts = {volume_at(mounted)};
  return live;
}

// A server that takes one password, and answers each statement as a test says.
class FakeServer : public RecordingTarget {
 public:
  const store::Manifest& manifest() const override { return manifest_of_dump; }
  const store::ArtifactRecord& record() const override { return record_of_dump; }
  const std::map<std::string, std::string>& operator_environment() const override {
    return environment;
  }
  std::optional<std::string> secret(const std::vector<std::string>&) override { return own; }
  void note(const std::string& text) override { notes.push_back(text); }
  docker::ExecResult run(const wire::ExecConfig& program) override {
    if (program.argv.back() == "ping") return result(is_up ? 0 : 1, "", "");
    if (!is_up) return result(1, "", "ERROR 2002 (HY000): Can't connect to local server");
    const std::string given = program.env.empty() ? "" : program.env.front().value;
    if (given != password) return result(1, "", "ERROR 1045 (28000): Access denied for user");
    for (const auto& [part, out] : answers) {
      if (program.argv.back().find(part) != std::string::npos) return result(0, out, "");
    }
    return result(1, "", "ERROR 1064 (42000): You have an error in your SQL syntax");
  }

  store::Manifest manifest_of_dump;
  store::ArtifactRecord record_of_dump;
  std::map<std::string, std::string> environment;
  std::optional<std::string> own;
  std::string password;
  bool is_up = true;
  std::map<std::string, std::string> answers;  // by a part of the statement
  std::vector<std::string> notes;

 private:
  static docker::ExecResult result(int exit_code, const std::string& out, const std::string& err) {
    docker::ExecResult all;
    all.exit_code = exit_code;
    all.out = out;
    all.err = err;
    return all;
  }
};

constexpr const char* plain =
    "version\t10.11.6-MariaDB-log\ndatadir\t/var/lib/mysql/\ninnodb_undo_directory\t./\n";

}  // namespace

TEST_CASE("mariadb: the mount that is exchanged is the one that holds the data directory") {
  CHECK(data_mount(server("/var/lib/mysql")) == "/var/lib/mysql");
  CHECK(data_mount(server("/var/lib")) == "/var/lib");
  CHECK(data_mount(server("/bitnami/mariadb")) == "/bitnami/mariadb");
  CHECK(data_mount(server("/config")) == "/config");
  CHECK(data_mount(server("/db", {"mariadbd", "--datadir=/db/data/"})) == "/db");
  CHECK(data_mount(server("/db", {"mariadbd", "--datadir", "/db/data"})) == "/db");
  const Thrown nowhere = thrown_by([] { data_mount(server("/var/lib/mysql", {"--datadir=/db"})); });
  CHECK(nowhere.kind == ErrorKind::container);
  CHECK(nowhere.message == "the data directory /db is on no mount of db");

  wire::Container split = server("/var/lib/mysql");
  split.mounts.push_back(volume_at("/var/lib/mysql/shop"));
  CHECK(thrown_by([&] { data_mount(split); }).message ==
        "/var/lib/mysql/shop, in the data directory, is a mount of its own");
}

TEST_CASE("mariadb: configuration and keys are carried over, and all beside the data directory") {
  const wire::Container live = server("/db", {"mariadbd", "--datadir=/db/data"});
  for (const char* path :
       {"/db/data/my.cnf", "/db/data/.my.cnf", "/db/data/.my-healthcheck.cnf",
        "/db/data/mysqld-auto.cnf", "/db/data/server-key.pem", "/db/data/ca.crt", "/db/data/a.key",
        "/db/data/debian-10.11.flag", "/db/certs", "/db/data2", "/db/note"}) {
    CAPTURE(path);
    CHECK(is_configuration(live, path));
  }
  // A new server has a UUID of its own.
  for (const char* path : {"/db", "/db/data", "/db/data/auto.cnf", "/db/data/ibdata1",
                           "/db/data/shop", "/db/data/shop/a.pem", "/db/data/mysql_upgrade_info"}) {
    CAPTURE(path);
    CHECK_FALSE(is_configuration(live, path));
  }
}

TEST_CASE("mariadb: a variable that leads out of the data directory is found") {
  const auto found = [](const std::string& name, const std::string& value) {
    return leads_elsewhere({{"datadir", "/var/lib/mysql/"}, {"version", "8.0.36"}, {name, value}});
  };
  for (const char* inside : {"", ".", "./", "logs", "/var/lib/mysql/", "/var/lib/mysql/logs"}) {
    CAPTURE(inside);
    CHECK(found("innodb_log_group_home_dir", inside).empty());
  }
  CHECK(found("innodb_log_group_home_dir", "/srv/log") == "innodb_log_group_home_dir is /srv/log");
  CHECK(found("innodb_undo_directory", "../undo") == "innodb_undo_directory is ../undo");
  CHECK(found("log_bin_basename", "/var/lib/mysql-bin/log") ==
        "log_bin_basename is /var/lib/mysql-bin/log");
  CHECK(found("innodb_data_file_path", "ibdata1:12M;more/ibdata2:50M:autoextend").empty());
  CHECK_FALSE(found("innodb_data_file_path", "ibdata1:12M;/disk2/ibdata2:50M").empty());
}

TEST_CASE("mariadb: a dump fits servers of its own release alone") {
  CHECK(version_misfit("10.11.18-MariaDB-0+deb12u1", "10.11.6-MariaDB-log").empty());
  CHECK(version_misfit("8.0.36", "8.0.41").empty());
  CHECK(version_misfit("", "8.0.41").empty());
  CHECK(version_misfit("8.0.36", "unknown").empty());
  CHECK(contains(version_misfit("11.8.3-MariaDB", "10.11.6-MariaDB"),
                 "the dump is of MariaDB 11.8.3, and the container's server is MariaDB 10.11.6"));
  CHECK_FALSE(version_misfit("10.11.6-MariaDB", "11.8.3-MariaDB").empty());
  CHECK_FALSE(version_misfit("8.0.36", "8.4.0").empty());
  CHECK_FALSE(version_misfit("10.4.1-MariaDB", "10.4.1").empty());
}

TEST_CASE("mariadb: a server is exchanged only where its files say that all of it is there") {
  const pipe::test::TempDir temp;
  const wire::Container live = server("/db", {"--datadir=/db/data"});
  const store::ArtifactRecord record;
  const service::ExchangePlace place{live, record, "/db", temp.path()};
  const std::string data = temp / "data";
  fs::create_directories(data + "/shop");
  write_file(data + "/shop/t.ibd", "x");
  write_file(data + "/multi-master.info", "");
  fs::create_symlink("/etc/ssl/server.pem", data + "/server.pem");
  CHECK_NOTHROW(require_plain_server(place, nullptr));
  std::string why;
  for (const char* file : {"master.info", "master-other.info", "db-relay-bin.index"}) {
    SUBCASE(file) {
      write_file(data + "/" + file, "127.0.0.1");
      why = "is a replica";
    }
  }
  SUBCASE("Galera") {
    write_file(data + "/grastate.dat", "uuid");
    why = "Galera cluster";
  }
  SUBCASE("a table elsewhere") {
    write_file(data + "/shop/away.isl", "/srv/space/shop/away.ibd");
    why = "outside of the data directory: shop/away.isl";
  }
  SUBCASE("a linked table") {
    fs::create_symlink("/srv/space/away.MYD", data + "/shop/away.MYD");
    why = "outside of the data directory: shop/away.MYD";
  }
  SUBCASE("a linked database") {
    fs::create_directory_symlink("/srv/space", data + "/away");
    why = "outside of the data directory: away";
  }
  REQUIRE_FALSE(why.empty());
  const Thrown thrown = thrown_by([&] { require_plain_server(place, nullptr); });
  CHECK(thrown.kind == ErrorKind::container);
  CHECK(contains(thrown.message, why));
}

TEST_CASE("mariadb: the live server is asked with the operator's password, else with its own") {
  const pipe::test::TempDir temp;
  wire::Container live = server("/var/lib/mysql");
  live.running = true;
  const store::ArtifactRecord record;
  const service::ExchangePlace place{live, record, "/var/lib/mysql", temp.path()};
  FakeServer asked;
  asked.manifest_of_dump.facts = {{"version", "10.11.18-MariaDB"}};
  asked.own = "of the container";
  asked.environment["MYSQL_PWD"] = "of the operator";
  asked.answers = {{"SHOW GLOBAL VARIABLES", plain}, {"SHOW REPLICA STATUS", ""}};
  for (const char* password : {"of the operator", "of the container", ""}) {
    CAPTURE(password);
    asked.password = password;
    CHECK_NOTHROW(require_plain_server(place, &asked));
    CHECK(asked.notes.empty());
    // It was a replica once; now it says that it is none.
    write_file(temp / "db-relay-bin.index", "x");
    CHECK_NOTHROW(require_plain_server(place, &asked));
    fs::remove(temp / "db-relay-bin.index");
  }
  const auto refusal = [&] {
    return thrown_by([&] { require_plain_server(place, &asked); }).message;
  };
  asked.answers["SHOW REPLICA STATUS"] = "Waiting for source\t10.0.0.1\n";
  CHECK(contains(refusal(), "is a replica"));
  asked.answers["SHOW REPLICA STATUS"] = "";
  asked.answers["SHOW GLOBAL VARIABLES"] = std::string(plain) + "wsrep_on\tON\n";
  CHECK(contains(refusal(), "Galera cluster"));
  asked.answers["SHOW GLOBAL VARIABLES"] = std::string(plain) + "log_bin_basename\t/log/bin\n";
  CHECK(contains(refusal(), "log_bin_basename is /log/bin"));
  asked.answers["SHOW GLOBAL VARIABLES"] = "version\t10.6.1-MariaDB\ndatadir\t/var/lib/mysql/\n";
  CHECK(contains(refusal(), "the container's server is MariaDB 10.6.1"));

  asked.password = "not known";
  CHECK_NOTHROW(require_plain_server(place, &asked));
  REQUIRE(asked.notes.size() == 1);
  CHECK(contains(asked.notes[0], "lets nobody in"));
  write_file(temp / "db-relay-bin.index", "x");
  CHECK(contains(refusal(), "is a replica"));
}

TEST_CASE("mariadb: a restored server serves once it answers, and must have every database") {
  FakeServer asked;
  asked.record_of_dump.found = {{"databases", {{{"name", "mysql"}}, {{"name", "a\\b"}}}}};
  asked.answers = {{"SCHEMATA", "information_schema\nmysql\na\\\\b\n"}};
  CHECK(has_databases(asked));
  CHECK(asked.notes.empty());
  asked.is_up = false;
  CHECK_FALSE(has_databases(asked));
  asked.is_up = true;
  asked.answers["SCHEMATA"] = "information_schema\nmysql\n";
  const Thrown thrown = thrown_by([&] { has_databases(asked); });
  CHECK(thrown.kind == ErrorKind::capture);
  CHECK(contains(thrown.message, "the server has no database a\\b"));
  // It took the client for somebody who may see nothing.
  asked.answers["SCHEMATA"] = "information_schema\n";
  CHECK(has_databases(asked));
  CHECK(asked.notes.size() == 1);
  asked.password = "not known";
  CHECK(has_databases(asked));
  CHECK(asked.notes.size() == 2);
}

}  // namespace bba::services::mariadb
