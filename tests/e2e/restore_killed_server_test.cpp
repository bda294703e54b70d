// Restores of servers that are killed, alone or with their guard, at their steps: afterwards the
// server answers, and has what it had before or what was restored, never a part of each.
#include "e2e/redis.hpp"
#include "e2e/restore_support.hpp"

namespace e2e {

TEST_CASE("restore of Redis with an append-only file, killed: the keys of one state") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.options = {"--restart", "always", "--volume", fixture.volume("cache") + ":/data"};
  setup.arguments = {"--appendonly", "yes"};
  const RedisServer server(fixture, "redis", setup);
  const Parked parked(server.container());
  server.seed();
  const std::string old_state = server.digest();
  succeeds(fixture, {"backup", server.container()});
  server.ask({"FLUSHALL"});
  server.ask({"SET", "later", "1"});
  const std::string new_state = server.digest();
  const auto state = [&] {
    server.wait_until_ready();
    server.ask({"SET", "written now", "1"});
    server.ask({"DEL", "written now"});
    return which_state(server.digest(), old_state, new_state);
  };
  check_killed_at_its_steps(fixture, server.container(), "/archive?", state);
}

TEST_CASE("restore of PostgreSQL, killed: the databases of one state, and it takes writes") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string module =
      fixture.start("postgres",
                    {"--restart", "always", "--env", "POSTGRES_PASSWORD=s3cret", "--volume",
                     fixture.volume("cluster") + ":/var/lib/postgresql/data"},
                    "bba-fixture/postgres:15");
  const Parked parked(module);
  const auto wait_until_ready = [&] {
    // Over TCP: while it makes a cluster, the image's server listens on its socket only.
    wait_until("a server", 60s, [&] {
      return run({"docker", "-H", host(), "exec", module, "pg_isready", "-q", "-h", "127.0.0.1"})
                 .exit_code == 0;
    });
  };
  const auto ask = [&](const std::string& sql) {
    docker({"exec", module, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-c", sql});
  };
  // All that it has, but for the key that each dump makes anew.
  const auto dump = [&] {
    return shell(module, "pg_dumpall -U postgres | grep -v '^.\\(un\\)\\?restrict '");
  };
  wait_until_ready();
  ask("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
  ask("CREATE ROLE reader LOGIN");
  const std::string old_state = dump();
  succeeds(fixture, {"backup", module});
  ask("DELETE FROM t WHERE n > 10");
  ask("DROP ROLE reader");
  ask("CREATE TABLE newer AS SELECT 1 AS one");
  const std::string new_state = dump();
  const auto state = [&] {
    wait_until_ready();
    ask("CREATE TABLE written_now AS SELECT 1 AS one");
    ask("DROP TABLE written_now");
    return which_state(dump(), old_state, new_state);
  };
  // The dump is fed to psql.
  check_killed_at_its_steps(fixture, module, "Upgrade: tcp", state);
}

}  // namespace e2e
