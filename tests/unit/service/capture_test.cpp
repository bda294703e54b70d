// A capture as what is shown: requests in their order, restore commands that a shell can run.
#include "bba/service/capture.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::service;
using Names = std::vector<std::string>;

namespace {

Capture capture_of(const std::string& module, std::vector<Part> parts) {
  Capture capture;
  capture.target = test::target(module);
  capture.parts = std::move(parts);
  return capture;
}

Part dump_part() {
  ExecDump dump;
  dump.exec.argv = {"pg_dumpall", "-w", "-U", "o'brien"};
  dump.exec.env = {{"PGPASSWORD", "hunter2"}};
  dump.exec.user = "postgres";
  return {"", dump};
}

Part archive_part(const std::string& path) {
  return {"", PathArchive{path, "/host", {}, {}, {}}};
}

}  // namespace

TEST_CASE("capture: names of consistencies both ways") {
  for (const Consistency one :
       {Consistency::automatic, Consistency::pause, Consistency::stop, Consistency::live}) {
    CHECK(consistency_by_name(name(one)) == one);
  }
  CHECK(name(Consistency::automatic) == "auto");
  CHECK_FALSE(consistency_by_name("").has_value());
  CHECK_FALSE(consistency_by_name("automatic").has_value());
  CHECK_FALSE(consistency_by_name("Pause").has_value());
}

TEST_CASE("capture: what each kind of part is called") {
  CHECK(dump_part().kind() == "sql");
  CHECK(dump_part().source() == "pg_dumpall -w -U 'o'\\''brien'");
  CHECK(dump_part().label() == "pg_dumpall");
  ExecDump snapshot;
  snapshot.format = ExecDump::Format::raft_snapshot;
  snapshot.exec.argv = {"/opt/bin/vault", "operator"};
  CHECK(Part{"", snapshot}.kind() == "raft-snapshot");
  CHECK(Part{"", snapshot}.label() == "vault");
  Part archive = archive_part("/data");
  CHECK(archive.kind() == "tar");
  CHECK(archive.source() == "/data");
  CHECK(archive.label() == "/data");
  std::get<PathArchive>(archive.what).rdb_file = "dump.rdb";
  CHECK(archive.kind() == "rdb-directory");
  CHECK(Part{"", HostDirectory{"/opt/x", {}}}.kind() == "host-directory");
  CHECK(Part{"", HostDirectory{"/opt/x", {}}}.source() == "host:/opt/x");
  CHECK(Part{"", ObjectMirror{"local", {}}}.kind() == "objects");
  CHECK(Part{"", ObjectMirror{"local", {}}}.source() == "objects of local");
}

TEST_CASE("capture: requests name variables and never their values") {
  const std::vector<std::string> lines = requests(capture_of("db", {dump_part()}));
  CHECK(lines == Names{"POST /containers/db/exec as postgres with PGPASSWORD: pg_dumpall -w -U "
                       "'o'\\''brien'"});
  CHECK(join(lines, "\n").find("hunter2") == std::string::npos);
}

TEST_CASE("capture: save, hold still, read, let go in reverse") {
  Capture capture =
      capture_of("cache", {archive_part("/data dir"), {"compose", HostDirectory{"/opt/x", {}}}});
  RedisSave save;
  save.cli.argv = {"redis-cli", "-e"};
  save.cli.env = {{"REDISCLI_AUTH", "hunter2"}};
  capture.save_first = save;
  capture.consistency = Consistency::pause;
  capture.quiesce = {{"1", "cache"}, {"2", "worker"}};
  const std::string asked = "POST /containers/cache/exec with REDISCLI_AUTH: redis-cli -e ";
  CHECK(requests(capture) == Names{
                                 asked + "INFO",
                                 asked + "BGSAVE (BGSAVE SCHEDULE where the append-only file is "
                                         "being rewritten)",
                                 asked + "INFO (until it says that the save is done)",
                                 "POST /containers/cache/pause",
                                 "POST /containers/worker/pause",
                                 "GET /containers/cache/archive?path=%2Fdata%20dir",
                                 "read /opt/x on this host",
                                 "POST /containers/worker/unpause",
                                 "POST /containers/cache/unpause",
                                 asked + "INFO (where what was read may be newer than the save)",
                             });
  capture.consistency = Consistency::stop;
  const Names stopping = requests(capture);
  CHECK(stopping[3] == "POST /containers/cache/stop");
  CHECK(stopping[stopping.size() - 2] == "POST /containers/cache/start");
}

TEST_CASE("capture: an archive is put back where it was, into a stopped container") {
  const Capture capture = capture_of("kuma", {archive_part("/app/data")});
  CHECK(restore_commands(capture, capture.parts[0], "kuma 1.tar.gz") ==
        Names{"TARGET=${TARGET:-kuma}", "docker stop \"$TARGET\"",
              "gunzip -c -- 'kuma 1.tar.gz' | docker cp - \"$TARGET\":/app",
              "docker start \"$TARGET\""});
  const auto put_back = [](const std::string& path, const std::string& file) {
    const Capture one = capture_of("kuma", {archive_part(path)});
    return restore_commands(one, one.parts[0], file).at(2);
  };
  CHECK(put_back("/data", "k.tar.zst") == "zstd -dc -- k.tar.zst | docker cp - \"$TARGET\":/");
  CHECK(put_back("/data", "k.tar") == "cat -- k.tar | docker cp - \"$TARGET\":/");
  CHECK(put_back("/a b/c", "k.tar") == "cat -- k.tar | docker cp - \"$TARGET\":'/a b'");
}

TEST_CASE("capture: with several archives the container starts once, when all are in") {
  const Capture capture = capture_of("kuma", {{"compose", HostDirectory{"/opt/x", {}}},
                                              archive_part("/a"),
                                              archive_part("/b"),
                                              archive_part("/c")});
  const auto commands = [&](std::size_t part) {
    return restore_commands(capture, capture.parts[part], "k.tar");
  };
  const std::string target = "TARGET=${TARGET:-kuma}";
  const std::string copy = "cat -- k.tar | docker cp - \"$TARGET\":/";
  CHECK(commands(0) == Names{"cat -- k.tar | tar -x --numeric-owner -p -C /opt"});
  CHECK(commands(1) == Names{target, "docker stop \"$TARGET\"", copy});
  CHECK(commands(2) == Names{target, copy});
  CHECK(commands(3) == Names{target, copy, "docker start \"$TARGET\""});
}

TEST_CASE("capture: a dump is fed without the one line that makes its superuser again") {
  Capture capture = capture_of("db", {dump_part()});
  capture.facts = {{"role", "platform"}};
  const Names commands = restore_commands(capture, capture.parts[0], "db.sql.gz");
  REQUIRE(commands.size() == 2);
  CHECK(commands[1] ==
        "gunzip -c -- db.sql.gz | sed '1,/^\\\\connect /{/^CREATE ROLE "
        "\"\\{0,1\\}platform\"\\{0,1\\};$/d}'"
        " | docker exec -i -u postgres -e PGPASSWORD \"$TARGET\" psql -X -q -v ON_ERROR_STOP=1 -U "
        "platform -d postgres");
  CHECK(commands[1].find("hunter2") == std::string::npos);
}

TEST_CASE("capture: a role's name cannot leave the quotes of a restore command") {
  Capture capture = capture_of("db", {dump_part()});
  capture.facts = {{"role", "x'; touch /tmp/owned; '.*/$"}};
  const std::string command = restore_commands(capture, capture.parts[0], "db.sql.gz")[1];
  CHECK(command.find("x'\\''; touch \\/tmp\\/owned; '\\''\\.\\*\\/\\$") != std::string::npos);
  CHECK(command.find("-U 'x'\\''; touch /tmp/owned; '\\''.*/$'") != std::string::npos);
}

TEST_CASE("capture: snapshots, project directories and objects have their own way back") {
  ExecDump snapshot;
  snapshot.format = ExecDump::Format::raft_snapshot;
  snapshot.exec.argv = {"bao", "operator"};
  snapshot.exec.env = {{"BAO_TOKEN", "hunter2"}, {"VAULT_TOKEN", "hunter2"}};
  Capture capture = capture_of("vault", {{"", snapshot}});
  const Names vault = restore_commands(capture, capture.parts[0], "v.snap");
  REQUIRE(vault.size() == 2);
  CHECK(vault[1] ==
        "docker exec -i -e VAULT_TOKEN -e BAO_TOKEN \"$TARGET\" bao operator raft snapshot restore "
        "-force /dev/stdin < v.snap");
  CHECK(restore_commands(capture, {"", HostDirectory{"/opt/agaria", {}}}, "a.tar.gz") ==
        Names{"gunzip -c -- a.tar.gz | tar -x --numeric-owner -p -C /opt"});
  ObjectMirror mirror{"local", {}};
  mirror.mc.env = {{"MC_HOST_local", "http://root:hunter2@127.0.0.1:9000"}};
  const Names minio = restore_commands(capture, {"", mirror}, "m.tar.gz");
  REQUIRE(minio.size() == 4);
  CHECK(minio[1].starts_with("env | grep -q '^MC_HOST_local=' || echo 'set MC_HOST_local="));
  CHECK(minio[2] == "gunzip -c -- m.tar.gz | docker cp - \"$TARGET\":/tmp");
  CHECK(minio[3].starts_with("docker exec -e MC_HOST_local \"$TARGET\" sh -c 'set -e; "));
  for (const std::string& command : minio) CHECK(command.find("hunter2") == std::string::npos);
}
