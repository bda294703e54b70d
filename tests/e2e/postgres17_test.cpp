// Class A on the newer PostgreSQL: what its pg_dumpall writes is recognised and restores.
#include "e2e/postgres.hpp"

using namespace e2e;

TEST_CASE("A, PostgreSQL 17 is backed up, verified, and restored by hand into a second server") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server server(fixture, "postgres", Kind::official_17);
  server.seed();
  const std::string before = server.dump();
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("strategy") == "pg_dumpall");
  CHECK(manifest.at("fallback").is_null());
  CHECK(manifest.at("facts").at("version").get<std::string>().starts_with("17."));
  CHECK(manifest.at("artifacts").at(0).at("found").at("databases").size() == 4);
  CHECK(fixture.bba({"verify", server.container()}).exit_code == 0);

  const Server second(fixture, "second", Kind::official_17);
  const Ended restored =
      fixture.restore_by_hand(second.container(), {{"PGPASSWORD", std::string(password)}});
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(second.row_counts() == server.row_counts());
  CHECK(second.dump() == before);
}
