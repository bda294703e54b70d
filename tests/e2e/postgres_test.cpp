// Class A on real servers: dumps that are complete and restore, and every way in which one is not.
#include "e2e/postgres.hpp"

#include <filesystem>

using namespace e2e;

namespace {

// Backs the server up, restores the set into a fresh one of the same image, and compares.
void check_round_trip(E2eFixture& fixture, const Server& server, const Strings& options) {
  const std::string before = server.dump();
  const std::string life = life_of(server.container());
  Strings arguments{"backup", server.container()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Ended ended = fixture.bba(arguments);
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "A");
  CHECK(manifest.at("strategy") == "pg_dumpall");
  CHECK(manifest.at("fallback").is_null());
  REQUIRE(manifest.at("artifacts").size() == 1);
  const std::string artifact =
      fixture.backups() + "/" + manifest.at("artifacts")[0].at("file").get<std::string>();
  CHECK(ended.out == artifact + "\n");
  CHECK(any_has(manifest.at("warnings"), "frozen"));
  CHECK(has(ended.err, "allow no connections: frozen"));
  CHECK(manifest.at("artifacts")[0].at("found").at("databases").size() == 4);
  const Ended sum = run({"sha256sum", artifact});
  CHECK(sum.out.substr(0, 64) == manifest.at("artifacts")[0].at("sha256"));

  const Server second(fixture, "second", server.kind());
  const Ended restored =
      fixture.restore_by_hand(second.container(), {{"PGPASSWORD", std::string(password)}});
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  CHECK(second.row_counts() == server.row_counts());
  CHECK(has(server.row_counts(), "sales.orders 4000"));
  // Everything that pg_dumpall knows of: roles, databases, rows, large objects, grants, comments.
  CHECK(second.dump() == before);
}

void check_fails(const Server& server, int exit_code, const Strings& said) {
  E2eFixture fixture;
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()});
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  for (const std::string& part : said) {
    CAPTURE(part);
    CHECK(has(ended.err, part));
  }
  fixture.check_nothing_left();
  CHECK_FALSE(dump_runs_in(server.container()));
  CHECK(life_of(server.container()) == life);
}

}  // namespace

TEST_CASE(
    "A, a server like the official image's is backed up, and restored by hand into a second one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  check_round_trip(fixture, shared_server(), {});
}

TEST_CASE("A, a server is backed up with zstd, and restored by hand into a second one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  check_round_trip(fixture, shared_server(), {"--compression", "zstd"});
}

TEST_CASE(
    "A, a server like Bitnami's: every connection needs a password, programs are not in PATH") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server server(fixture, "bitnami-postgres", Kind::bitnami);
  server.seed();
  check_round_trip(fixture, server, {});
}

TEST_CASE("A, peer authentication: only the container's user postgres gets in") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server server(fixture, "peer-postgres", Kind::peer);
  server.seed();
  check_round_trip(fixture, server, {});
}

TEST_CASE(
    "A, the password in the container's environment is outdated: exit 6, or the operator's works") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server server(fixture, "bitnami-postgres", Kind::bitnami);
  server.query("postgres", "ALTER ROLE postgres PASSWORD 'another'");
  check_fails(server, 6,
              {"psql could not ask the server anything: as postgres: exit code 2: ",
               "password authentication failed for user \"postgres\"",
               "hint: set PGPASSWORD in your environment and modules." + server.container() +
                   ".env to [PGPASSWORD]"});

  write_file(fixture.path("bba.yaml"),
             "modules:\n  " + server.container() + ":\n    env: [PGPASSWORD]\n");
  const Strings backup{"backup", server.container(), "--config", fixture.path("bba.yaml")};
  Setting wrong;
  wrong.environment["PGPASSWORD"] = "neither";
  const Ended refused = fixture.bba(backup, wrong);
  CHECK(refused.exit_code == 6);
  CHECK(has(refused.err, "password authentication failed"));
  fixture.check_nothing_left();
  Setting right;
  right.environment["PGPASSWORD"] = "another";
  const Ended ended = fixture.bba(backup, right);
  INFO(ended.err);
  CHECK(ended.exit_code == 0);
  CHECK(fixture.manifest().at("strategy") == "pg_dumpall");
}

TEST_CASE("A, the server is down in a running container: exit 6, with the first error") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // The server is a child of the container's first process, which outlives it.
  const std::string container =
      fixture.start("down-postgres", {"--env", "POSTGRES_PASSWORD=" + std::string(password)},
                    "bba-fixture/postgres:15",
                    {"sh", "-c", "docker-entrypoint.sh postgres & while :; do sleep 0.2; done"});
  const Strings in{"docker", "-H", host(), "exec", "-u", "postgres", container};
  const auto inside = [&](const Strings& argv) {
    Strings all = in;
    all.insert(all.end(), argv.begin(), argv.end());
    return run(all);
  };
  wait_until("a server in " + container, 60s, [&] {
    return inside({"pg_isready", "--quiet", "--host", "127.0.0.1"}).exit_code == 0;
  });
  REQUIRE(inside({"pg_ctl", "stop", "--mode", "fast", "--wait"}).exit_code == 0);
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"-v", "backup", container});
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  // The error is that of the first user that was tried; -v shows the others, too.
  CHECK(has(ended.err, "psql could not ask the server anything: as postgres: exit code 2: "));
  CHECK(has(ended.err, "Is the server running locally and accepting connections on that socket?"));
  CHECK(has(ended.err, "psql as postgres (user postgres): exit code 2: "));
  CHECK(has(ended.err, "hint: if it is up, name a superuser with modules." + container + ".user"));
  fixture.check_nothing_left();
  CHECK(life_of(container) == life);
}

TEST_CASE("A, the program is missing: exit 6, and the engine's error does not become an artifact") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  const HiddenDump hidden(server.container());
  check_fails(server, 6, {"pg_dumpall: ", "could not be started", "exit code 12", "not found"});
}

TEST_CASE("A, the program cannot be executed: exit 6") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  const FakeDump no_interpreter(server.container(), "#!/no/such/interpreter\n");
  // The exit code of such a start differs from engine to engine: 1, 126, 127.
  check_fails(server, 6, {"exit code 1", "no such file"});
}

TEST_CASE("A, half a dump and exit code 1: exit 6, with the program's error output") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  const FakeDump fake(server.container(),
                      "#!/bin/sh\n"
                      "/usr/lib/postgresql/*/bin/pg_dumpall \"$@\" | head -c 200000\n"
                      "echo 'pg_dumpall: error: the connection was lost' >&2\n"
                      "exit 1\n");
  check_fails(server, 6, {"exit code 1", "pg_dumpall: error: the connection was lost"});
}

TEST_CASE("A, half a dump and exit code 0: exit 6") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  const FakeDump fake(server.container(),
                      "#!/bin/sh\n"
                      "/usr/lib/postgresql/*/bin/pg_dumpall \"$@\" | head -c 200000\n");
  check_fails(server, 6, {"cut inside the rows of a COPY"});
}

TEST_CASE("A, a dump without its last line, and exit code 0: exit 6") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  const FakeDump fake(server.container(),
                      "#!/bin/sh\n"
                      "/usr/lib/postgresql/*/bin/pg_dumpall \"$@\" | head -n -1\n");
  check_fails(server, 6, {"end marker"});
}

TEST_CASE("A, a dump that ends in rows which look like the end marker: exit 6") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  // The rows of hostile_lines are, up to the fourth, byte for byte the end of a whole dump.
  const FakeDump fake(server.container(),
                      "#!/bin/sh\n"
                      "/usr/lib/postgresql/*/bin/pg_dumpall \"$@\" |\n"
                      "  sed '/^-- PostgreSQL database cluster dump complete$/{n;n;q}'\n");
  const Ended fakes =
      run({"docker", "-H", host(), "exec", "-u", "postgres", server.container(), "pg_dumpall"});
  REQUIRE(fakes.exit_code == 0);
  REQUIRE(fakes.out.ends_with("\n--\n-- PostgreSQL database cluster dump complete\n--\n\n"));
  REQUIRE_FALSE(has(fakes.out, "COPY public.sessions"));
  check_fails(server, 6, {"cut inside the rows of a COPY"});
}

TEST_CASE("A, the backup directory's file system is full: exit 8") {
  NEEDS_ENGINE();
  const Server& server = shared_server();
  E2eFixture fixture;
  fixture.small_backup_directory("256k");
  const std::string life = life_of(server.container());
  const Ended ended = fixture.bba({"backup", server.container()});
  CHECK(ended.exit_code == 8);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "No space left on device"));
  fixture.check_nothing_left();
  CHECK_FALSE(dump_runs_in(server.container()));
  CHECK(life_of(server.container()) == life);
}

TEST_CASE("A, a container that is stopped or paused: exit 4 with a hint, and it stays so") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string stopped = fixture.create("stopped-postgres", {}, "bba-fixture/postgres:15");
  const Ended created = fixture.bba({"backup", stopped});
  CHECK(created.exit_code == 4);
  CHECK(has(created.err, "hint: start it first, or take its files as they are with --class E"));

  const Server& server = shared_server();
  docker({"pause", server.container()});
  const Ended ended = fixture.bba({"backup", server.container()});
  CHECK(ended.exit_code == 4);
  CHECK(has(ended.err, "hint: unpause it first"));
  CHECK(paused(server.container()));
  docker({"unpause", server.container()});
  fixture.check_nothing_left();
}

TEST_CASE("A, the password is in no output, no manifest and no argv") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const EventLog log({server.container()});
  const std::string secret(password);
  for (const Strings& arguments : {Strings{"-v", "plan", server.container()},
                                   Strings{"-v", "plan", server.container(), "--json"},
                                   Strings{"-v", "backup", server.container(), "--json"}}) {
    const Ended ended = fixture.bba(arguments);
    REQUIRE(ended.exit_code == 0);
    CHECK_FALSE(has(ended.out, secret));
    CHECK_FALSE(has(ended.err, secret));
  }
  CHECK_FALSE(has(pretty_json(fixture.manifest()), secret));
  const std::string events = join(log.events(), "\n");
  REQUIRE(has(events, "exec_create: pg_dumpall -w -U postgres"));
  CHECK_FALSE(has(events, secret));
}

TEST_CASE("A, plan changes nothing, and shows the request that backup sends") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Server& server = shared_server();
  const std::string life = life_of(server.container());
  const EventLog plan_log({server.container()});
  const Ended planned = fixture.bba({"plan", server.container(), "--json"});
  REQUIRE(planned.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK_FALSE(std::filesystem::exists(fixture.backups()));
  for (const std::string& event : plan_log.events()) {
    // It asks the server, and nothing else.
    const bool asks = event.starts_with("exec_create: psql") ||
                      event.starts_with("exec_start: psql") || event.starts_with("exec_die");
    CAPTURE(event);
    CHECK(asks);
  }

  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  REQUIRE(plan->at("requests").size() == 1);
  const std::string request = plan->at("requests")[0];
  const std::string head = "POST /containers/" + server.container() + "/exec with PGPASSWORD: ";
  REQUIRE(request.starts_with(head));
  const EventLog backup_log({server.container()});
  REQUIRE(fixture.bba({"backup", server.container()}).exit_code == 0);
  const std::string events = join(backup_log.events(), "\n");
  CHECK(has(events, "exec_create: " + request.substr(head.size()) + " " + server.container()));

  // --dry-run is the same plan.
  const Ended dry = fixture.bba({"backup", server.container(), "--dry-run", "--json"});
  CHECK(dry.exit_code == 0);
  const auto dry_plan = parse_json(dry.out);
  REQUIRE(dry_plan);
  CHECK(dry_plan->at("requests") == plan->at("requests"));
}
