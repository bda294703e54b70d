// Class A: which user to try, what to ask, and what the answers mean.
#include "services/postgres/server.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::postgres;
using Names = std::vector<std::string>;

namespace {

std::string shown(const Identity& one) {
  return fmt::format("{}@{}{}{}", one.role, one.exec_user.empty() ? "-" : one.exec_user,
                     one.host.empty() ? "" : " over " + one.host,
                     one.program_dir.empty() ? "" : " from " + one.program_dir);
}

Names shown_identities(const service::Target& target,
                       const std::optional<std::string>& password = {}) {
  Names names;
  for (const auto& one : identities(target, password)) names.push_back(shown(one));
  return names;
}

const std::string answer =
    R"x({"version":"15.20 (Debian 15.20-1)","in_recovery":false,"superuser":true,)x"
    R"x("databases":[{"name":"app","bytes":123,"allow_connections":true,"template":false},)x"
    R"x({"name":"template0","bytes":7,"allow_connections":false,"template":true}]})x";

}  // namespace

TEST_CASE(
    "postgres: the official image's user is tried first, then postgres, then peer authentication") {
  CHECK(shown_identities(test::target("db", 'A')) == Names{"postgres@-", "postgres@postgres"});
  CHECK(shown_identities(test::target("db", 'A', {"POSTGRES_USER=platform"})) ==
        Names{"platform@-", "postgres@-", "postgres@postgres"});
  CHECK(shown_identities(test::target("db", 'A', {"POSTGRES_USER="})) ==
        Names{"postgres@-", "postgres@postgres"});
}

TEST_CASE("postgres: the configured user comes first, and no user is tried twice") {
  service::Target target = test::target("db", 'A', {"POSTGRES_USER=platform"});
  target.settings.user = "dba";
  CHECK(shown_identities(target) ==
        Names{"dba@-", "platform@-", "postgres@-", "postgres@postgres"});
  target.settings.user = "postgres";
  CHECK(shown_identities(target) == Names{"postgres@-", "platform@-", "postgres@postgres"});
}

TEST_CASE("postgres: with a password TCP is tried, and the password is passed in the environment") {
  const service::Target target = test::target("db", 'A', {"POSTGRES_USER=platform"});
  CHECK(shown_identities(target, "hunter2").back() == "platform@- over 127.0.0.1");
  for (const auto& one : identities(target, "hunter2")) {
    REQUIRE(one.env.size() == 1);
    CHECK(one.env[0].name == "PGPASSWORD");
    CHECK(one.env[0].value == "hunter2");
    for (const std::string& word : services::postgres::probe(one).argv) CHECK(word != "hunter2");
  }
}

TEST_CASE("postgres: variables that the operator lends are passed on") {
  service::Target target = test::target("db", 'A');
  target.operator_env = {{"PGSSLMODE", "require"}};
  for (const auto& one : identities(target, {})) {
    REQUIRE(one.env.size() == 1);
    CHECK(one.env[0].name == "PGSSLMODE");
  }
}

TEST_CASE("postgres: a password that the operator lends comes before the container's") {
  const auto passwords = [](const std::string& lent, const std::optional<std::string>& own) {
    service::Target target = test::target("db", 'A');
    target.operator_env = {{"PGPASSWORD", lent}};
    Names used;
    for (const auto& one : identities(target, own)) {
      REQUIRE_FALSE(one.env.empty());
      // Of two variables with one name the engine passes on the last.
      used.push_back(one.env.back().value);
    }
    return used;
  };
  CHECK(passwords("theirs", "hunter2") == Names{"theirs", "theirs", "theirs"});
  CHECK(passwords("theirs", {}) == Names{"theirs", "theirs", "theirs"});
  CHECK(passwords("", "hunter2") == Names{"hunter2", "hunter2", "hunter2"});
}

TEST_CASE("postgres: Bitnami's programs are used, and its superuser before its other user") {
  const std::string dir = " from /opt/bitnami/postgresql/bin/";
  for (const std::string sign : {"POSTGRESQL_USERNAME=app", "POSTGRESQL_PASSWORD=x",
                                 "POSTGRESQL_PASSWORD_FILE=/x", "BITNAMI_APP_NAME=postgresql"}) {
    CAPTURE(sign);
    CHECK(shown_identities(test::target("db", 'A', {sign})).front() == "postgres@-" + dir);
  }
  CHECK(shown_identities(test::target("db", 'A', {"POSTGRESQL_USERNAME=app"})) ==
        Names{"postgres@-" + dir, "app@-" + dir, "postgres@postgres" + dir});
  CHECK(shown_identities(test::target("db", 'A', {"BITNAMI_APP_NAME=redis"})).front() ==
        "postgres@-");
}

TEST_CASE("postgres: these variables may hold the password, the superuser's first") {
  CHECK(password_variables(test::target("db").container) ==
        Names{"POSTGRES_PASSWORD", "PGPASSWORD"});
  const Names bitnami =
      password_variables(test::target("db", 'A', {"POSTGRESQL_USERNAME=app"}).container);
  // The superuser's password comes before that of POSTGRESQL_USERNAME.
  REQUIRE(bitnami.size() == 4);
  CHECK(bitnami.front() == "POSTGRESQL_POSTGRES_PASSWORD");
  CHECK(bitnami[2] == "POSTGRESQL_PASSWORD");
}

TEST_CASE("postgres: psql is asked without its start-up file, and never waits for a password") {
  Identity identity;
  identity.role = "platform";
  identity.exec_user = "postgres";
  const wire::ExecConfig query = services::postgres::query(identity, "my db", "SELECT 1");
  CHECK(query.argv == Names{"psql", "-w", "-U", "platform", "-X", "-q", "-A", "-t", "-v",
                            "ON_ERROR_STOP=1", "-d", "my db", "-c", "SELECT 1"});
  CHECK(query.user == "postgres");
  CHECK_FALSE(query.attach_stdin);
  identity.host = "127.0.0.1";
  identity.program_dir = "/opt/bitnami/postgresql/bin/";
  const wire::ExecConfig probe = services::postgres::probe(identity);
  CHECK(probe.argv[0] == "/opt/bitnami/postgresql/bin/psql");
  CHECK(probe.argv[1] == "-h");
  CHECK(probe.argv[2] == "127.0.0.1");
  CHECK(probe.argv[probe.argv.size() - 3] == "postgres");
}

TEST_CASE("postgres: a probe's answer is read") {
  const auto facts = parse_probe("  " + answer + "\n");
  REQUIRE(facts.has_value());
  CHECK(facts->version == "15.20 (Debian 15.20-1)");
  CHECK(facts->superuser);
  CHECK_FALSE(facts->in_recovery);
  REQUIRE(facts->databases.size() == 2);
  CHECK(facts->databases[0].name == "app");
  CHECK(facts->databases[0].bytes == 123);
  CHECK_FALSE(facts->databases[1].allow_connections);
  CHECK(facts->databases[1].is_template);
}

TEST_CASE("postgres: an invalid answer is an error, at every cut and for every wrong type") {
  for (std::size_t length = 0; length < answer.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(parse_probe(answer.substr(0, length)).has_value());
  }
  for (const std::string text :
       {"", "null", "[]", "{}", R"({"version":"15"})", R"({"version":15,"databases":[]})",
        R"({"version":"15","databases":null})", R"({"version":"15","databases":{}})",
        R"({"version":"15","databases":[{}]})", R"({"version":"15","databases":[{"name":7}]})",
        R"({"version":"15","databases":["app"]})"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_probe(text).has_value());
  }
  // Optional fields that are missing get the cautious value.
  const auto bare = parse_probe(R"({"version":"9.6","databases":[{"name":"a"}]})");
  REQUIRE(bare.has_value());
  CHECK_FALSE(bare->superuser);
  CHECK(bare->databases[0].allow_connections);
}

TEST_CASE("postgres: the dump needs no container paused") {
  Identity identity;
  identity.role = "platform";
  identity.exec_user = "postgres";
  identity.env = {{"PGPASSWORD", "hunter2"}};
  const service::Capture capture = dump_capture(test::target("db", 'A'), identity,
                                                *parse_probe(answer), std::chrono::seconds(90));
  CHECK(capture.strategy == "pg_dumpall");
  CHECK(capture.consistency == service::Consistency::live);
  CHECK(capture.quiesce.empty());
  REQUIRE(capture.parts.size() == 1);
  const auto& dump = std::get<service::ExecDump>(capture.parts[0].what);
  CHECK(dump.exec.argv == Names{"pg_dumpall", "-w", "-U", "platform", "--lock-wait-timeout=90000"});
  CHECK(dump.exec.user == "postgres");
  CHECK(capture.facts["role"] == "platform");
  CHECK(capture.facts["databases"].size() == 2);
  CHECK(capture.warnings.empty());  // template0 alone is closed, as everywhere
  CHECK(dump_json(capture.facts).find("hunter2") == std::string::npos);
}

TEST_CASE("postgres: a warning says what a dump does not hold, or not from the same moment") {
  const auto warnings = [](const Facts& facts) {
    return dump_capture(test::target("db", 'A'), {"", "app", "", "", {}}, facts,
                        std::chrono::seconds(1))
        .warnings;
  };
  Facts facts;
  facts.superuser = true;
  facts.databases = {{"a", 1, true, false}};
  CHECK(warnings(facts).empty());
  facts.databases.push_back({"closed", 1, false, false});
  facts.databases.push_back({"shut", 1, false, true});
  REQUIRE(warnings(facts).size() == 1);
  CHECK(warnings(facts)[0] == "not in the dump, because they allow no connections: closed, shut");
  facts.databases.resize(1);
  facts.in_recovery = true;
  REQUIRE(warnings(facts).size() == 1);
  CHECK(warnings(facts)[0].find("standby") != std::string::npos);
  facts.in_recovery = false;
  facts.superuser = false;
  REQUIRE(warnings(facts).size() == 1);
  CHECK(warnings(facts)[0].find("role app is not a superuser") == 0);
  facts.superuser = true;
  facts.databases.assign(5, {"d", 1, true, false});
  REQUIRE(warnings(facts).size() == 1);
  CHECK(warnings(facts)[0].find("no common point in time") != std::string::npos);
}
