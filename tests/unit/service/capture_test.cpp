// A capture as it is shown: its requests in their order.
#include "bba/service/capture.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/fakes.hpp"

using namespace bba;
using namespace bba::service;
using Names = std::vector<std::string>;

namespace {

const test::TextKind text;

Capture capture_of(const std::string& module, std::vector<Part> parts,
                   const test::PlainService& service) {
  Capture capture;
  capture.service = &service;
  capture.target = test::target(module);
  capture.parts = std::move(parts);
  return capture;
}

Part dump_part() {
  ExecDump dump;
  dump.exec.argv = {"pg_dumpall", "-w", "-U", "o'brien"};
  dump.exec.env = {{"PGPASSWORD", "hunter2"}};
  dump.exec.user = "postgres";
  return {"", &text, dump};
}

Part archive_part(const std::string& path) {
  return {"", &text, PathArchive{path, "/host", {"*/cache"}, {path + "/nested"}}};
}

const Part directory_part{"compose", &text, HostDirectory{"/opt/x", {"/opt/x/data"}}};
const Part own_part{"", &text, ServicePart{"objects of local", "local", {}}};

}  // namespace

TEST_CASE("capture: the names of consistencies are written and read back") {
  for (const Consistency one :
       {Consistency::automatic, Consistency::pause, Consistency::stop, Consistency::live}) {
    CHECK(consistency_by_name(name(one)) == one);
  }
  CHECK(name(Consistency::automatic) == "auto");
  CHECK_FALSE(consistency_by_name("").has_value());
  CHECK_FALSE(consistency_by_name("automatic").has_value());
  CHECK_FALSE(consistency_by_name("Pause").has_value());
}

TEST_CASE("capture: what each part is called") {
  CHECK(dump_part().source() == "pg_dumpall -w -U 'o'\\''brien'");
  CHECK(dump_part().label() == "pg_dumpall");
  ExecDump snapshot;
  snapshot.exec.argv = {"/opt/bin/vault", "operator"};
  CHECK(Part{"", &text, snapshot}.label() == "vault");
  CHECK(archive_part("/data").source() == "/data");
  CHECK(archive_part("/data").label() == "/data");
  CHECK(directory_part.source() == "host:/opt/x");
  CHECK(own_part.source() == "objects of local");
}

TEST_CASE("capture: what a part leaves out is in its record") {
  CHECK(archive_part("/data").left_out() == Names{"*/cache", "/data/nested"});
  CHECK(directory_part.left_out() == Names{"/opt/x/data"});
  CHECK(dump_part().left_out().empty());
  CHECK(own_part.left_out().empty());
}

TEST_CASE("capture: requests name variables and never their values") {
  const test::PlainService service;
  const std::vector<std::string> lines = requests(capture_of("db", {dump_part()}, service));
  CHECK(lines == Names{"POST /containers/db/exec as postgres with PGPASSWORD: pg_dumpall -w -U "
                       "'o'\\''brien'"});
  CHECK(join(lines, "\n").find("hunter2") == std::string::npos);
}

TEST_CASE("capture: the order is the service's own requests, pause, read, unpause in reverse") {
  test::PlainService service;
  service.before = {"save"};
  service.after = {"look again"};
  Capture capture =
      capture_of("cache", {archive_part("/data dir"), directory_part, own_part}, service);
  capture.consistency = Consistency::pause;
  capture.quiesce = {{"1", "cache"}, {"2", "worker"}};
  CHECK(requests(capture) == Names{
                                 "save",
                                 "POST /containers/cache/pause",
                                 "POST /containers/worker/pause",
                                 "GET /containers/cache/archive?path=%2Fdata%20dir",
                                 "read /opt/x on this host",
                                 "stream local",
                                 "POST /containers/worker/unpause",
                                 "POST /containers/cache/unpause",
                                 "look again",
                             });
  capture.consistency = Consistency::stop;
  const Names stopping = requests(capture);
  CHECK(stopping[1] == "POST /containers/cache/stop");
  CHECK(stopping[stopping.size() - 2] == "POST /containers/cache/start");
}
