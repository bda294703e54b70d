#include "e2e/postgres.hpp"

#include <cstdio>
#include <filesystem>

namespace e2e {

namespace {

// First in the PATH of the images.
constexpr const char* fake_path = "/usr/local/sbin/pg_dumpall";
constexpr const char* half_way_mark = "/tmp/e2e-half-way";

std::string image_of(Kind kind) {
  switch (kind) {
    case Kind::bitnami:
      return "bba-fixture/bitnami/postgresql:15";
    case Kind::peer:
      return "bba-fixture/debian/postgres:15";
    case Kind::official_17:
      return "bba-fixture/postgres:17";
    case Kind::official:
      break;
  }
  return "bba-fixture/postgres:15";
}

// In a container, as root. Not fatal: the destructors call it.
bool shell_in(const std::string& container, const std::string& script) {
  return run({"docker", "-H", host(), "exec", "-u", "root", container, "sh", "-ec", script})
             .exit_code == 0;
}

}  // namespace

Server::Server(E2eFixture& fixture, const std::string& what, Kind kind) : kind_(kind) {
  const std::string variable =
      kind == Kind::bitnami ? "POSTGRESQL_PASSWORD=" : "POSTGRES_PASSWORD=";
  container_ = fixture.start(what, {"--env", variable + std::string(password)}, image_of(kind));
  wait_until_ready();
}

// Over TCP: the server of the image's own set-up listens on the socket only.
void Server::wait_until_ready() const {
  wait_until("a server in " + container_, 60s, [&] {
    return run(exec({"pg_isready", "--quiet", "--host", "127.0.0.1"})).exit_code == 0;
  });
}

Strings Server::exec(const Strings& argv) const {
  Strings all{"docker", "-H", host(), "exec", "-i", "-e", "PGPASSWORD=" + std::string(password)};
  if (kind_ == Kind::peer) all.insert(all.end(), {"-u", "postgres"});
  all.push_back(container_);
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

void Server::seed() const {
  Strings argv{std::string(BBA_SOURCE_DIR) + "/fixtures/seed-postgres", container_, "--env",
               "PGPASSWORD=" + std::string(password)};
  if (kind_ == Kind::peer) argv.insert(argv.end(), {"--user", "postgres"});
  Setting setting;
  setting.environment["BBA_SEED_ROWS"] = "4000";
  const Ended ended = run(argv, setting);
  if (ended.exit_code != 0) throw std::runtime_error("seeding: " + ended.err);
}

std::string Server::dump() const {
  const Ended ended = run(exec({"pg_dumpall", "-w", "-U", "postgres"}));
  if (ended.exit_code != 0) throw std::runtime_error("pg_dumpall: " + ended.err);
  std::string dump;
  for (const std::string_view line : split(ended.out, '\n')) {
    // Their key is another one each time.
    if (line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ")) continue;
    dump += line;
    dump += '\n';
  }
  return dump;
}

std::string Server::query(const std::string& database, const std::string& sql) const {
  const Ended ended = run(exec({"psql", "-w", "-X", "-q", "-A", "-t", "-F", " ", "-v",
                                "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql}));
  if (ended.exit_code != 0) throw std::runtime_error("psql: " + ended.err);
  return ended.out;
}

std::string Server::row_counts() const {
  std::string counts;
  const std::string databases =
      query("postgres", "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1");
  for (const std::string_view database : split(trimmed(databases), '\n')) {
    counts += std::string(database) + ":\n";
    counts += query(std::string(database),
                    "SELECT name || ' ' || n FROM (SELECT schemaname || '.' || relname AS name, "
                    "(xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I',"
                    " schemaname, relname), false, true, '')))[1]::text AS n FROM "
                    "pg_stat_user_tables UNION ALL SELECT 'large objects', count(*)::text FROM "
                    "pg_largeobject_metadata) AS counted ORDER BY 1");
  }
  return counts;
}

void Server::check_not_disturbed() const {
  const Ended log = run({"docker", "-H", host(), "logs", container_});
  REQUIRE(log.exit_code == 0);
  CHECK(log.err.find("database system is ready to accept connections") != log.err.npos);
  CHECK(log.err.find("terminated by signal") == log.err.npos);
}

const Server& shared_server() {
  static E2eFixture fixture;
  static const Server server = [] {
    Server made(fixture, "postgres");
    made.seed();
    return made;
  }();
  return server;
}

FakeDump::FakeDump(std::string container, const std::string& script, const std::string& mode)
    : container_(std::move(container)) {
  docker({"exec", "-i", "-u", "root", container_, "sh", "-ec",
          fmt::format("cat > {0}.new && chmod {1} {0}.new && mv {0}.new {0}", fake_path, mode)},
         script);
}

FakeDump::~FakeDump() {
  if (!shell_in(container_, fmt::format("rm -f {}", fake_path))) {
    std::fprintf(stderr, "%s stays in %s\n", fake_path, container_.c_str());
  }
}

HiddenDump::HiddenDump(std::string container) : container_(std::move(container)) {
  docker({"exec", "-u", "root", container_, "sh", "-ec",
          "for p in /usr/bin /usr/lib/postgresql/*/bin; do"
          "  [ ! -e $p/pg_dumpall ] || mv $p/pg_dumpall $p/hidden; done"});
}

HiddenDump::~HiddenDump() {
  if (!shell_in(container_,
                "for p in /usr/bin /usr/lib/postgresql/*/bin; do"
                "  [ ! -e $p/hidden ] || mv $p/hidden $p/pg_dumpall; done")) {
    std::fprintf(stderr, "pg_dumpall stays hidden in %s\n", container_.c_str());
  }
}

WaitingDump::WaitingDump(const std::string& container, std::string_view wait)
    : FakeDump(container,
               fmt::format("#!/bin/sh\n"
                           "rm -f {0}\n"
                           "printf -- '--\\n-- PostgreSQL database cluster dump\\n--\\n'\n"
                           "head -c 6000000 /dev/urandom | base64\n"
                           "touch {0}\n"
                           "{1}",
                           half_way_mark, wait)),
      half_way_(seen_from_here(container, half_way_mark)) {}

void WaitingDump::wait_until_half_way(const Process& run) const {
  wait_until("half a dump", 30s,
             [&] { return std::filesystem::exists(half_way_) || !run.running(); });
  if (!run.running()) throw std::runtime_error("the run ended early: " + run.err());
  // Removed, so that it is not taken for the next dump's.
  shell_in(container(), fmt::format("rm -f {}", half_way_mark));
}

}  // namespace e2e
