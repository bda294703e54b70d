// Class H, planned on a scripted engine: where no dump is possible there is an error, no fallback.
#include "services/mariadb/mariadb.hpp"

#include <doctest/doctest.h>

#include "unit/service/support.hpp"
#include "unit/services/support.hpp"

using namespace bba;

namespace {

std::string failure(test::PlanFixture& asked, const service::Target& target, ErrorKind kind) {
  try {
    asked.plan(services::mariadb::mariadb(), target);
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return std::string(error.what()) + " | " + error.hint();
  }
  FAIL("nothing was thrown");
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("mariadb: a container that does not run is not asked, and its files are not taken") {
  test::PlanFixture asked;
  service::Target target = test::target("db", 'H');
  target.container.running = false;
  target.container.state = "exited";
  CHECK(has(failure(asked, target, ErrorKind::container), "a dump needs a server that answers"));
}

TEST_CASE("mariadb: an account that is shown no database is an error, not an empty dump") {
  test::PlanFixture asked;
  asked.programs_print("id-of-db", "/run/mysqld/mysqld.sock\t3306\t0\n");
  service::Target target = test::target("db", 'H');
  target.settings.user = "backup";
  const std::string said = failure(asked, target, ErrorKind::capture);
  CHECK(has(said, "the server does not show its databases to backup"));
  CHECK(has(said, "modules.db.user"));
}

TEST_CASE("mariadb: where no client can ask, the first one's error is reported") {
  test::PlanFixture asked;
  asked.programs_print("id-of-db", "something else\n");
  const std::string said = failure(asked, test::target("db", 'H'), ErrorKind::capture);
  CHECK(has(said, "the server could not be asked anything: mariadb as root: exit code 0"));
  CHECK(has(said, "--class E"));
}

TEST_CASE("mariadb: the kind keeps the name that is in manifests") {
  const service::ArtifactKind& kind = services::mariadb::dump_kind();
  CHECK(kind.name() == "mysql-dump");
  CHECK(kind.suffix() == "sql");
  CHECK(kind.required_found() == std::vector<std::string>{"databases"});
}
