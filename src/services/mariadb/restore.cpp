#include "restore.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "bba/base/text.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/dump_comparison.hpp"
#include "bba/service/restore_steps.hpp"

namespace bba::services::mariadb {

namespace {

using service::FeedResult;
using service::quoted;
using service::require_equal;
using service::RestoreTarget;

// Scripts in here would fill the fresh server with what the dump is about to bring.
constexpr const char* init_scripts = "/docker-entrypoint-initdb.d";

// Comes after the dump: a client whose dump was cut ends with exit code 0, too, but without this.
constexpr const char* end_reached = "restored to its end";

// What the server is told before the dump is fed. A blob is twice as long in a dump as in its
// table, and an event must not change what has just come.
constexpr const char* before_feeding =
    "SET GLOBAL max_allowed_packet = 1073741824;\n"
    "SET @quiet = IF(@@GLOBAL.event_scheduler = 'ON', 'SET GLOBAL event_scheduler = OFF', 'DO "
    "0');\n"
    "PREPARE quiet FROM @quiet;\n"
    "EXECUTE quiet;\n";

// The statements that undo it.
constexpr const char* ask_settings =
    "SELECT CONCAT('SET GLOBAL max_allowed_packet = ', @@GLOBAL.max_allowed_packet, "
    "IF(@@GLOBAL.event_scheduler = 'ON', '; SET GLOBAL event_scheduler = ON', ''))";

service::Program with_secrets(wire::ExecConfig exec) {
  return {std::move(exec), {{"MYSQL_PWD", password_variables()}}};
}

bool has(std::string_view words, std::string_view part) {
  return words.find(part) != words.npos;
}

// On an error the client shows the statement, with all its rows, unless it is told not to; one that
// does not know the option warns.
wire::ExecConfig feeding(const Connection& connection) {
  wire::ExecConfig exec = client(connection);
  exec.argv.insert(exec.argv.end(),
                   {"--max-allowed-packet=1G", "--loose-skip-print-query-on-error"});
  return exec;
}

// Asks which databases of the dump hold something in the target already. `mysql` is in every
// server.
std::string ask_occupied(const store::ArtifactRecord& record) {
  std::vector<std::string> names;
  if (const Json* databases = member(record.found, "databases")) {
    for (const Json& one : *databases) {
      const std::string name = string_member(one, "name").value_or("");
      if (name != "mysql") names.push_back(sql_literal(name));
    }
  }
  // No name is empty.
  const std::string list = names.empty() ? "''" : join(names, ", ");
  return fmt::format(
      "SET sql_mode = '';\n"
      "SELECT TABLE_SCHEMA FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({0}) UNION SELECT "
      "ROUTINE_SCHEMA FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN ({0}) UNION SELECT "
      "EVENT_SCHEMA FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN ({0})",
      list);
}

bool lost_the_server(std::string_view words) {
  return has(words, "Lost connection") || has(words, "gone away") || has(words, "Can't connect");
}

void judge(const std::string& program, const FeedResult& fed) {
  const bool whole = fed.exit_code == 0 && fed.took_everything;
  if (whole && trimmed(fed.out).ends_with(end_reached)) return;
  const std::string words = docker::last_output(fed.err);
  const bool no_room = has(words, "No space left on device");
  if (no_room || lost_the_server(words)) {
    throw Error(ErrorKind::capture,
                fmt::format("the scratch container could not take the dump: {}", words),
                no_room ? "the engine's disk is full" : "does it need more --memory?");
  }
  if (whole) {
    throw Error(ErrorKind::artifact,
                fmt::format("the dump does not restore: {} ended before the end of it", program));
  }
  throw Error(ErrorKind::artifact,
              fmt::format("the dump does not restore: {} ended with exit code {}: {}", program,
                          fed.exit_code, words));
}

// Passes everything on, and a text after it.
class Appended : public pipe::Stage {
 public:
  Appended(std::string text, pipe::Stage& next) : text_(std::move(text)), next_(next) {}
  void write(const Chunk& chunk) override { next_.write(chunk); }
  void finish() override {
    next_.write(Chunk::copy_of(text_));
    next_.finish();
  }

 private:
  std::string text_;
  pipe::Stage& next_;
};

class FeedDump : public service::RestoreStep {
 public:
  explicit FeedDump(Connection connection) : connection_(std::move(connection)) {}

  void print(service::ShellScript& script, const store::ArtifactRecord& record,
             std::size_t number) const override {
    const auto ask = [&](const std::string& sql) {
      return service::docker_exec(query(connection_, sql), false);
    };
    script.lines.push_back(fmt::format("there_{}=$({})", number, ask(ask_occupied(record))));
    script.lines.push_back(fmt::format(
        "[ -z \"$there_{0}\" ] || {{ echo \"not restored, as $TARGET has databases of the dump "
        "already, drop them first: $there_{0}\" >&2; exit 2; }}",
        number));
    script.lines.push_back(fmt::format("settings_{}=$({})", number, ask(ask_settings)));
    script.lines.push_back(ask(before_feeding));
    // From here on the passwords are those of the dump: one connection does the rest.
    script.lines.push_back(
        fmt::format("last_{0}=$({{ {1} && printf '%s; FLUSH PRIVILEGES; SELECT %s;\\n' "
                    "\"$settings_{0}\" \"'{2}'\"; }} | {3} | tail -n 1)",
                    number, service::unpack(record.file), end_reached,
                    service::docker_exec(feeding(connection_), true)));
    script.lines.push_back(fmt::format(
        "[ \"$last_{}\" = {} ] || {{ echo 'the dump was not restored to its end' >&2; exit 1; }}",
        number, quoted(end_reached)));
  }

  void carry_out(RestoreTarget& target) const override {
    const auto resolved = [&](const wire::ExecConfig& exec) {
      return service::resolved(with_secrets(exec), target);
    };
    const docker::ExecResult occupied =
        target.run(resolved(query(connection_, ask_occupied(target.record()))));
    const docker::ExecResult prepared = target.run(resolved(query(connection_, before_feeding)));
    for (const docker::ExecResult& result : {occupied, prepared}) {
      if (result.exit_code == 0) continue;
      throw Error(ErrorKind::capture, "the scratch server could not be made ready for the dump: " +
                                          docker::last_output(result.err));
    }
    if (const auto there = trimmed(occupied.out); !there.empty()) {
      throw Error(ErrorKind::capture,
                  fmt::format("the image has made databases of the dump by itself: {}", there));
    }
    const wire::ExecConfig program = feeding(connection_);
    // The passwords of the dump are not known here: compare() makes them count, as its last step.
    const std::string end = fmt::format("SELECT '{}';\n", end_reached);
    judge(program.argv.front(), target.feed(resolved(program), [&](pipe::Stage& next) {
      return std::make_unique<Appended>(end, next);
    }));
  }

 private:
  Connection connection_;
};

// --- what has to be there afterwards

// Of `mysql` only what an operator decides: its other tables are the server's own.
const std::set<std::string_view> decided{"global_priv",  "user",          "db",
                                         "tables_priv",  "columns_priv",  "procs_priv",
                                         "proxies_priv", "roles_mapping", "default_roles",
                                         "role_edges",   "global_grants", "func",
                                         "servers",      "plugin",        "component",
                                         "event",        "proc"};

constexpr std::array kinds{"views", "routines", "events", "triggers", "sequences"};

// A statement for each table, whose answer is its database, its name and its rows; then the objects
// of each database.
std::string counting_script(const Json& databases) {
  std::vector<std::string> names;
  for (const Json& one : databases) {
    names.push_back(sql_literal(string_member(one, "name").value_or("")));
  }
  const std::string list = names.empty() ? "''" : join(names, ", ");
  return fmt::format(
      "SET sql_mode = '';\n"
      "SELECT CONCAT('SELECT ', QUOTE(TABLE_SCHEMA), ', ', QUOTE(TABLE_NAME), ', COUNT(*) FROM `', "
      "REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`', IF(TABLE_TYPE "
      "= 'SYSTEM VERSIONED', ' FOR SYSTEM_TIME ALL', ''), ';') FROM information_schema.TABLES "
      "WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA IN ({});",
      list);
}

constexpr const char* object_script =
    "SELECT 'views', TABLE_SCHEMA, COUNT(*) FROM information_schema.VIEWS GROUP BY TABLE_SCHEMA;\n"
    "SELECT 'routines', ROUTINE_SCHEMA, COUNT(*) FROM information_schema.ROUTINES GROUP BY "
    "ROUTINE_SCHEMA;\n"
    "SELECT 'events', EVENT_SCHEMA, COUNT(*) FROM information_schema.EVENTS GROUP BY "
    "EVENT_SCHEMA;\n"
    "SELECT 'triggers', TRIGGER_SCHEMA, COUNT(*) FROM information_schema.TRIGGERS GROUP BY "
    "TRIGGER_SCHEMA;\n"
    "SELECT 'sequences', TABLE_SCHEMA, COUNT(*) FROM information_schema.TABLES WHERE TABLE_TYPE = "
    "'SEQUENCE' GROUP BY TABLE_SCHEMA;\n";

using Counts = std::map<std::pair<std::string, std::string>, std::uint64_t>;

Counts parse_counts(std::string_view out) {
  Counts counts;
  for (const std::vector<std::string>& row : parse_rows(out)) {
    if (row.size() != 3) continue;
    std::uint64_t value = 0;
    std::from_chars(row[2].data(), row[2].data() + row[2].size(), value);
    counts[{row[0], row[1]}] = value;
  }
  return counts;
}

// The scratch server, before the passwords of the dump count.
class Asked {
 public:
  Asked(RestoreTarget& target, const Connection& connection)
      : target_(target), exec_(service::resolved(with_secrets(client(connection)), target)) {}

  std::string answer(const std::string& script, bool raw = false) const {
    wire::ExecConfig exec = exec_;
    if (raw) exec.argv.emplace_back("--raw");
    const FeedResult fed = target_.feed_text(exec, script);
    if (fed.exit_code == 0 && fed.took_everything) return fed.out;
    const std::string words = docker::last_output(fed.err);
    throw Error(lost_the_server(words) ? ErrorKind::capture : ErrorKind::artifact,
                "what was restored cannot be read: " + words);
  }

 private:
  RestoreTarget& target_;
  wire::ExecConfig exec_;
};

struct Totals {
  std::uint64_t tables = 0, rows = 0, objects = 0;
};

void compare_database(RestoreTarget& target, const Json& said, const Counts& rows,
                      const Counts& objects, Totals& totals) {
  const std::string name = string_member(said, "name").value_or("");
  const bool own = name == "mysql";
  const Json* tables = member(said, "tables");
  if (tables == nullptr) throw Error(ErrorKind::artifact, "the manifest does not say its tables");
  for (const auto& [table, wanted] : tables->items()) {
    if (own && !decided.contains(table)) continue;
    const auto found = rows.find({name, table});
    if (found == rows.end()) {
      throw Error(ErrorKind::artifact, fmt::format("restored, there is no table {}", table));
    }
    require_equal(fmt::format("rows in table {}", table), found->second,
                  wanted.get<std::uint64_t>());
    ++totals.tables;
    totals.rows += found->second;
  }
  // Those of `mysql` are the server's own.
  for (const char* kind : kinds) {
    if (own) break;
    const auto found = objects.find({kind, name});
    const std::uint64_t count = found == objects.end() ? 0 : found->second;
    require_equal(kind, count, size_member(said, kind).value_or(0));
    totals.objects += count;
  }
  if (const auto left_out = size_member(said, "tables_left_out")) {
    target.report.not_proven.push_back(fmt::format(
        "database {}: the rows of {} tables, beyond those that a manifest lists", name, *left_out));
  }
}

// With the accounts of the dump in force; no other connection may get in after that.
std::size_t compare_grants(RestoreTarget& target, const Asked& asked) {
  const Json* said = member(target.manifest().facts, "grants");
  if (said == nullptr || !said->is_array() || said->empty()) {
    target.report.not_proven.emplace_back("what its accounts may do: the manifest does not say it");
    return 0;
  }
  const std::string statements = asked.answer(
      "SET sql_mode = '';\n"
      "SELECT CONCAT('SHOW GRANTS FOR ', QUOTE(User), IF(Host = '', '', CONCAT('@', QUOTE(Host))), "
      "';') FROM mysql.user ORDER BY User, Host;\n",
      true);
  const std::vector<std::string> there =
      parse_grants(asked.answer("SET sql_mode = '';\nFLUSH PRIVILEGES;\n" + statements));
  std::map<std::string, std::string> wanted, restored;  // by the same words in one order
  for (const Json& one : *said) {
    if (one.is_string())
      wanted.emplace(in_one_order(one.get<std::string>()), one.get<std::string>());
  }
  for (const std::string& one : there) restored.emplace(in_one_order(one), one);
  for (const auto& [words, grant] : wanted) {
    if (restored.contains(words)) continue;
    throw Error(ErrorKind::artifact, "restored, an account lacks: " + grant);
  }
  for (const auto& [words, grant] : restored) {
    if (wanted.contains(words)) continue;
    throw Error(ErrorKind::artifact, "restored, an account has what it did not have: " + grant);
  }
  return wanted.size();
}

}  // namespace

Connection restoring_connection(const Json& facts) {
  Connection connection{known_programs().front(), "/run/mysqld/mysqld.sock"};
  if (const Json* said = member(facts, "connection")) {
    connection.programs.client =
        string_member(*said, "client").value_or(connection.programs.client);
    connection.socket = string_member(*said, "socket").value_or(connection.socket);
  }
  connection.env.push_back({"MYSQL_PWD", ""});
  return connection;
}

// Without a network there is still the loopback.
wire::ExecConfig ready(const Json& facts) {
  std::uint64_t port = 3306;
  if (const Json* said = member(facts, "connection")) {
    port = size_member(*said, "port").value_or(port);
  }
  wire::ExecConfig exec;
  exec.argv = {restoring_connection(facts).programs.admin(),
               "--no-defaults",
               "--protocol=tcp",
               "--host=127.0.0.1",
               fmt::format("--port={}", port),
               "ping"};
  return exec;
}

// A server with nothing in it but its root: whatever database or user the live container asks its
// image to make, the dump makes itself. Nobody outside can reach it, so its password is not a
// secret.
service::FreshTarget fresh_server() {
  service::FreshTarget fresh;
  fresh.data_volumes = true;
  fresh.lend_configuration = true;
  fresh.without = {init_scripts};
  fresh.volumes = {{init_scripts}};
  for (const std::string prefix : {"MARIADB_", "MYSQL_"}) {
    fresh.set_env[prefix + "ROOT_PASSWORD"] = "bba-drill";
    for (const char* name : {"ROOT_PASSWORD_FILE",
                             "ROOT_PASSWORD_HASH",
                             "ROOT_PASSWORD_HASH_FILE",
                             "ROOT_USER",
                             "RANDOM_ROOT_PASSWORD",
                             "ALLOW_EMPTY_ROOT_PASSWORD",
                             "ALLOW_EMPTY_PASSWORD",
                             "ONETIME_PASSWORD",
                             "DATABASE",
                             "DATABASE_FILE",
                             "USER",
                             "USER_FILE",
                             "PASSWORD",
                             "PASSWORD_FILE",
                             "PASSWORD_HASH",
                             "PASSWORD_HASH_FILE",
                             "MASTER_HOST",
                             "REPLICATION_MODE",
                             "REPLICATION_USER",
                             "REPLICATION_USER_FILE",
                             "REPLICATION_PASSWORD",
                             "REPLICATION_PASSWORD_FILE",
                             "REPLICATION_PASSWORD_HASH",
                             "REPLICATION_PASSWORD_HASH_FILE"}) {
      fresh.unset_env.insert(prefix + name);
    }
  }
  // MYSQL_PWD of the container would count for the programs of the image's own set-up.
  fresh.unset_env.insert("MYSQL_PWD");
  return fresh;
}

service::Restore restore_dump(const store::Manifest& manifest, const store::ArtifactRecord&) {
  service::Restore restore;
  restore.steps.push_back(service::start_server(ready(manifest.facts)));
  restore.steps.push_back(std::make_shared<FeedDump>(restoring_connection(manifest.facts)));
  return restore;
}

void compare_databases(RestoreTarget& target) {
  const Asked asked(target, restoring_connection(target.manifest().facts));
  const Json* databases = member(target.record().found, "databases");
  if (databases == nullptr || !databases->is_array()) {
    throw Error(ErrorKind::artifact, "the manifest does not say its databases");
  }
  target.note("counting the rows of each table");
  const std::string statements = asked.answer(counting_script(*databases), true);
  const Counts rows = parse_counts(asked.answer("SET sql_mode = '';\n" + statements));
  const Counts objects = parse_counts(asked.answer(object_script));
  Totals totals;
  for (const Json& one : *databases) {
    with_context("database " + string_member(one, "name").value_or(""),
                 [&] { compare_database(target, one, rows, objects, totals); });
  }
  const std::size_t grants = compare_grants(target, asked);
  target.report.compared.update({{"databases", databases->size()},
                                 {"tables", totals.tables},
                                 {"rows", totals.rows},
                                 {"objects", totals.objects},
                                 {"grants", grants}});
  target.report.lines.push_back(fmt::format(
      "{} databases, {} tables with {} rows, {} views, routines, events, triggers and sequences, "
      "{} grants came back",
      databases->size(), totals.tables, totals.rows, totals.objects, grants));
}

}  // namespace bba::services::mariadb
