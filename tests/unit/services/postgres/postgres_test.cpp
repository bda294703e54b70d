// Class A, planned on a scripted engine.
#include "services/postgres/postgres.hpp"

#include <doctest/doctest.h>

#include "unit/service/support.hpp"
#include "unit/services/support.hpp"

using namespace bba;

TEST_CASE("postgres: a server that answers is dumped, as an artifact of PostgreSQL's own kind") {
  test::PlanFixture asked;
  asked.programs_print("id-of-db", R"({"version":"15.20","databases":[{"name":"app"}]})");
  const service::Capture capture =
      asked.plan(services::postgres::postgres(), test::target("db", 'A'));
  REQUIRE(capture.parts.size() == 1);
  CHECK(capture.parts[0].kind == &services::postgres::dump_kind());
  CHECK(capture.parts[0].kind->name() == "sql");
  CHECK(capture.facts["version"] == "15.20");
}
