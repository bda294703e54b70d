#include "restore.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "bba/base/text.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/dump_comparison.hpp"
#include "bba/service/restore_steps.hpp"

namespace bba::services::postgres {

namespace {

using service::FeedResult;
using service::require_equal;
using service::RestoreTarget;

// Scripts in here would fill the fresh cluster with what the dump is about to bring.
constexpr const char* init_scripts = "/docker-entrypoint-initdb.d";

std::string sql_literal(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) {
    if (c == '\'') literal += '\'';
    literal += c;
  }
  return literal + '\'';
}

// psql that reads its script from stdin.
wire::ExecConfig psql(const Identity& identity, const std::string& database) {
  wire::ExecConfig exec = query(identity, database, "");
  exec.argv.resize(exec.argv.size() - 2);
  return exec;
}

service::Program with_secrets(wire::ExecConfig exec) {
  return {std::move(exec), {{"PGPASSWORD", all_password_variables()}}};
}

// The databases that the dump makes: it fails at one that is there already.
std::vector<std::string> made_databases(const store::ArtifactRecord& record) {
  std::vector<std::string> names;
  const Json* databases = member(record.found, "databases");
  if (databases == nullptr || !databases->is_array()) return names;
  for (const Json& one : *databases) {
    const std::string name = string_member(one, "name").value_or("");
    if (name != "postgres" && name != "template1") names.push_back(name);
  }
  return names;
}

// Databases that are there already, made by the image or used by the service, are not dropped but
// renamed. Where a later step fails, a renamed one shows that the one that has its old name now is
// the restore's own.
service::StepPtr set_databases_aside(const Identity& identity,
                                     const std::vector<std::string>& names) {
  std::vector<std::string> literals;
  for (const std::string& name : names) literals.push_back(sql_literal(name));
  const std::string list = join(literals, ", ");
  const std::string stamp = "\\set stamp `printenv STAMP`\n";
  const std::string aside = "left(name, 40) || '_before_' || :'stamp'";
  const std::string each =
      " FROM unnest(ARRAY[" + list + "]::text[]) AS name JOIN pg_database AS d ON d.datname = ";

  service::Script script;
  script.program = with_secrets(psql(identity, "postgres"));
  // In a drill nothing is there.
  script.program.exec.env.push_back({"STAMP", "drill"});
  script.purpose = "renaming the databases that are there";
  script.input =
      stamp + "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', name)" + each +
      "name \\gexec\n"
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (" +
      list +
      ") \\g /dev/null\n"
      "BEGIN;\n"
      "SELECT format('ALTER DATABASE %I RENAME TO %I', name, " +
      aside + ")" + each +
      "name \\gexec\n"
      "COMMIT;\n";
  script.undo_input = stamp + "SELECT format('DROP DATABASE IF EXISTS %I', name)" + each + aside +
                      " \\gexec\n"
                      "SELECT format('ALTER DATABASE %I RENAME TO %I', d.datname, name)" +
                      each + aside +
                      " \\gexec\n"
                      "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', name)" +
                      each + "name \\gexec\n";
  return service::run_script(std::move(script));
}

// Roles that are there already, the bootstrap superuser and those that the image makes, are not
// made again; the ALTER ROLE that follows gives them what they had. No meta-command: a dump begins
// with \restrict.
const service::LineRewrite make_missing_roles{
    .until = "\\connect ",
    .prefix = "CREATE ROLE ",
    .suffix = ";",
    .instead = {"DO $bba$ BEGIN IF to_regrole($role$", "$role$) IS NULL THEN CREATE ROLE ",
                "; END IF; END $bba$;"}};

// psql's own codes: 2 is a lost connection, 3 an error in the script.
void judge(const FeedResult& fed) {
  if (fed.exit_code == 0 && fed.took_everything) return;
  const std::string words = docker::last_output(fed.err);
  const bool no_room = words.find("No space left on device") != words.npos;
  if (no_room || fed.exit_code == 2) {
    throw Error(ErrorKind::capture,
                fmt::format("the scratch container could not take the dump: {}", words),
                no_room ? "the engine's disk is full" : "does it need more --memory?");
  }
  throw Error(ErrorKind::artifact,
              fmt::format("the dump does not restore: psql ended with exit code {}: {}",
                          fed.exit_code, words));
}

// --- what has to be there afterwards

struct Counted {
  std::map<std::size_t, std::pair<bool, std::uint64_t>> tables;  // of an extension, rows
  std::vector<std::string> extensions;
  std::uint64_t large_objects = 0, large_object_bytes = 0;
};

// One line for each: "extension NAME", "large COUNT BYTES", "table NUMBER OF_AN_EXTENSION ROWS".
std::string counting_script(const Json& tables) {
  std::string script =
      "SET statement_timeout = 0;\nSET standard_conforming_strings = on;\nSET search_path = '';\n"
      "SELECT 'extension ' || extname FROM pg_catalog.pg_extension;\n"
      "SELECT 'large ' || (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata) || ' ' ||"
      " (SELECT coalesce(sum(octet_length(data)), 0) FROM pg_catalog.pg_largeobject);\n";
  std::size_t number = 0;
  for (const auto& [table, rows] : tables.items()) {
    // ONLY: children and partitions have rows of their own, but a partitioned table has none.
    script += fmt::format(
        "SELECT format('SELECT %L || count(*) FROM %s %s', 'table {} ' || EXISTS (SELECT 1 FROM "
        "pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass "
        "AND d.objid = c.oid AND d.deptype = 'e')::int || ' ', CASE c.relkind WHEN 'p' THEN '' "
        "ELSE 'ONLY' END, c.oid::pg_catalog.regclass) FROM pg_catalog.pg_class AS c WHERE c.oid = "
        "pg_catalog.to_regclass({}) \\gexec\n",
        number++, sql_literal(table));
  }
  return script;
}

Counted parse_counts(std::string_view answer) {
  Counted counted;
  for (const std::string_view line : split(answer, '\n')) {
    const std::vector<std::string_view> words = split(line, ' ');
    const auto number = [&](std::size_t index) {
      std::uint64_t value = 0;
      if (index < words.size()) {
        std::from_chars(words[index].data(), words[index].data() + words[index].size(), value);
      }
      return value;
    };
    if (words[0] == "extension") counted.extensions.emplace_back(line.substr(words[0].size() + 1));
    if (words[0] == "large") {
      counted.large_objects = number(1);
      counted.large_object_bytes = number(2);
    }
    if (words[0] == "table") counted.tables[number(1)] = {number(2) != 0, number(3)};
  }
  return counted;
}

struct Totals {
  std::uint64_t extensions = 0, tables = 0, rows = 0, large_objects = 0;
};

void compare_database(RestoreTarget& target, const Identity& identity, const std::string& name,
                      const Json& said, Totals& totals) {
  const Json* tables = member(said, "tables");
  const Json* extensions = member(said, "extensions");
  if (tables == nullptr || extensions == nullptr) {
    throw Error(ErrorKind::artifact, "the manifest does not say its tables and extensions");
  }
  const FeedResult fed = target.feed_text(
      service::resolved(with_secrets(psql(identity, name)), target), counting_script(*tables));
  if (fed.exit_code != 0 || !fed.took_everything) {
    throw Error(ErrorKind::capture,
                "the scratch server could not be asked: " + docker::last_output(fed.err));
  }
  const Counted counted = parse_counts(fed.out);
  for (const Json& one : *extensions) {
    const auto extension = one.get<std::string>();
    const auto& present = counted.extensions;
    if (std::find(present.begin(), present.end(), extension) == present.end()) {
      throw Error(ErrorKind::artifact, fmt::format("restored, it lacks extension {}", extension));
    }
    ++totals.extensions;
  }
  require_equal("large objects", counted.large_objects,
                size_member(said, "large_objects").value_or(0));
  require_equal("bytes in large objects", counted.large_object_bytes,
                size_member(said, "large_object_bytes").value_or(0));
  totals.large_objects += counted.large_objects;
  std::size_t number = 0;
  for (const auto& [table, rows] : tables->items()) {
    const auto found = counted.tables.find(number++);
    if (found == counted.tables.end()) {
      throw Error(ErrorKind::artifact, fmt::format("restored, there is no table {}", table));
    }
    const auto [of_extension, count] = found->second;
    const auto wanted = rows.get<std::uint64_t>();
    // Such a table has rows that its extension brings, which no dump holds.
    if (!of_extension || count < wanted) {
      require_equal(fmt::format("rows in table {}", table), count, wanted);
    }
    totals.rows += wanted;
    ++totals.tables;
  }
  if (const auto left_out = size_member(said, "tables_left_out")) {
    target.report.not_proven.push_back(fmt::format(
        "database {}: the rows of {} tables, beyond those that a manifest lists", name, *left_out));
  }
}

}  // namespace

Identity restoring_identity(const Json& facts) {
  Identity identity;
  // Older manifests have only the role that dumped.
  identity.role = string_member(facts, "bootstrap_role")
                      .value_or(string_member(facts, "role").value_or("postgres"));
  if (const Json* connection = member(facts, "connection")) {
    identity.exec_user = string_member(*connection, "user").value_or("");
    identity.program_dir = string_member(*connection, "program_dir").value_or("");
    identity.host = string_member(*connection, "host").value_or("");
    if (bool_member(*connection, "password").value_or(false)) {
      identity.env.push_back({"PGPASSWORD", ""});
    }
  }
  return identity;
}

// A cluster with nothing in it but its superuser: whatever database or user the live container asks
// its image to make, the dump makes itself.
service::FreshTarget fresh_cluster(const wire::Container& live, const Json& facts) {
  service::FreshTarget fresh;
  fresh.data_volumes = true;
  fresh.lend_configuration = true;
  fresh.without = {init_scripts};
  fresh.volumes = {{init_scripts}};
  fresh.set_env["POSTGRES_DB"] = "postgres";
  fresh.unset_env = {
      "POSTGRES_DB_FILE",         "POSTGRESQL_DATABASE",         "POSTGRESQL_USERNAME",
      "POSTGRESQL_USERNAME_FILE", "POSTGRESQL_REPLICATION_MODE", "POSTGRESQL_REPLICATION_USER"};
  if (!is_bitnami(live)) {
    // The container's variable may have changed since the cluster was made.
    if (const auto role = string_member(facts, "bootstrap_role")) {
      fresh.set_env["POSTGRES_USER"] = *role;
      fresh.unset_env.insert("POSTGRES_USER_FILE");
    }
  }
  // Bitnami's password is that of the user it is told to make, and of postgres without one.
  for (const char* file : {"", "_FILE"}) {
    const auto superuser =
        wire::env_value(live, std::string("POSTGRESQL_POSTGRES_PASSWORD") + file);
    if (!superuser) continue;
    fresh.unset_env.insert({"POSTGRESQL_PASSWORD", "POSTGRESQL_PASSWORD_FILE"});
    fresh.set_env[std::string("POSTGRESQL_PASSWORD") + file] = *superuser;
  }
  return fresh;
}

service::Restore restore_dump(const store::Manifest& manifest,
                              const store::ArtifactRecord& record) {
  const Identity identity = restoring_identity(manifest.facts);
  service::Restore restore;
  // Over TCP: the server that the image runs while it sets the cluster up listens on the socket
  // only. Without a network there is still the loopback.
  restore.steps.push_back(service::start_server(
      {.argv = {identity.program_dir + "pg_isready", "-q", "-h", "127.0.0.1"}}));
  if (const auto names = made_databases(record); !names.empty()) {
    restore.steps.push_back(set_databases_aside(identity, names));
  }
  service::Feed feed;
  feed.program = with_secrets(psql(identity, "postgres"));
  feed.rewrite = make_missing_roles;
  feed.judge = judge;
  restore.steps.push_back(service::feed_program(std::move(feed)));
  return restore;
}

void compare_databases(RestoreTarget& target) {
  const Identity identity = restoring_identity(target.manifest().facts);
  const auto facts = parse_probe(
      target.run(service::resolved({probe(identity), with_secrets({}).secrets}, target)).out);
  if (!facts) throw Error(ErrorKind::capture, "the scratch server does not answer any more");
  const Json* databases = member(target.record().found, "databases");
  Totals totals;
  for (const Json& one : *databases) {
    const std::string name = string_member(one, "name").value_or("");
    const bool there = std::any_of(
        facts->databases.begin(), facts->databases.end(),
        [&](const auto& other) { return other.name == name && other.allow_connections; });
    if (!there) {
      throw Error(ErrorKind::artifact, fmt::format("restored, there is no database {}", name));
    }
    target.note(fmt::format("comparing database {}", name));
    with_context("database " + name,
                 [&] { compare_database(target, identity, name, one, totals); });
  }
  target.report.compared.update({{"databases", databases->size()},
                                 {"extensions", totals.extensions},
                                 {"tables", totals.tables},
                                 {"rows", totals.rows},
                                 {"large_objects", totals.large_objects}});
  target.report.lines.push_back(fmt::format(
      "{} databases, {} extensions, {} tables with {} rows, {} large objects came back",
      databases->size(), totals.extensions, totals.tables, totals.rows, totals.large_objects));
}

}  // namespace bba::services::postgres
