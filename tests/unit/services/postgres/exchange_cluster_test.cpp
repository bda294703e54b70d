#include "services/postgres/exchange_cluster.hpp"

#include <filesystem>

#include <doctest/doctest.h>

#include "unit/sets.hpp"

namespace bba::services::postgres {
namespace {

using namespace test;
namespace fs = std::filesystem;

wire::Container server(const std::string& mounted, const std::vector<std::string>& env = {}) {
  wire::Container live;
  live.id = "c1";
  live.name = "db";
  live.env = env;
  live.mounts = {{"volume", "pgdata", "/volumes/pgdata/_data", mounted, true}};
  return live;
}

}  // namespace

TEST_CASE("the mount of a cluster is the one that holds its data directory") {
  CHECK(cluster_mount(server("/var/lib/postgresql/data")) == "/var/lib/postgresql/data");
  CHECK(cluster_mount(server("/var/lib/postgresql")) == "/var/lib/postgresql");
  CHECK(cluster_mount(server("/pg", {"PGDATA=/pg/15/main/"})) == "/pg");
  const Thrown thrown = thrown_by([] { cluster_mount(server("/elsewhere")); });
  CHECK(thrown.kind == ErrorKind::container);
  CHECK(thrown.message == "the data directory /var/lib/postgresql/data is on no mount of db");
}

TEST_CASE("configuration and keys are carried over, and all beside the data directory") {
  const wire::Container live = server("/pg", {"PGDATA=/pg/data"});
  for (const char* path :
       {"/pg/data/postgresql.conf", "/pg/data/postgresql.auto.conf", "/pg/data/pg_hba.conf",
        "/pg/data/pg_ident.conf", "/pg/data/server.crt", "/pg/data/server.key", "/pg/data/root.pem",
        "/pg/data/root.crl", "/pg/data/conf.d", "/pg/data/conf.d/a.conf", "/pg/certs", "/pg/data2",
        "/pg/note"}) {
    CAPTURE(path);
    CHECK(is_configuration(live, path));
  }
  for (const char* path : {"/pg", "/pg/data", "/pg/data/base", "/pg/data/PG_VERSION",
                           "/pg/data/base/server.key", "/pg/data/postmaster.pid"}) {
    CAPTURE(path);
    CHECK_FALSE(is_configuration(live, path));
  }
}

TEST_CASE("a cluster is exchanged only where all of it lies in its data directory") {
  const pipe::test::TempDir temp;
  const wire::Container live = server("/pg", {"PGDATA=/pg/data"});
  const store::ArtifactRecord record;
  const service::ExchangePlace place{live, record, "/pg", temp.path()};
  const std::string data = temp / "data";
  for (const char* directory : {"/base", "/pg_tblspc", "/pg_wal"}) {
    fs::create_directories(data + directory);
  }
  CHECK_NOTHROW(require_plain_cluster(place));
  std::string why;
  for (const char* file : {"standby.signal", "recovery.signal", "recovery.conf"}) {
    SUBCASE(file) {
      write_file(data + "/" + file, "");
      why = "is a standby";
    }
  }
  SUBCASE("a tablespace") {
    fs::create_directory_symlink("/mnt", data + "/pg_tblspc/16400");
    why = "tablespaces";
  }
  for (const char* wal : {"pg_wal", "pg_xlog"}) {
    SUBCASE(wal) {
      fs::remove_all(data + "/" + wal);
      fs::create_directory_symlink("/mnt", data + "/" + wal);
      why = std::string(wal) + " of the cluster is a link";
    }
  }
  REQUIRE_FALSE(why.empty());
  const Thrown thrown = thrown_by([&] { require_plain_cluster(place); });
  CHECK(thrown.kind == ErrorKind::container);
  CHECK(contains(thrown.message, why));
}

}  // namespace bba::services::postgres
