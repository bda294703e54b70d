#include "server.hpp"

#include <algorithm>
#include <charconv>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::services::mariadb {

namespace {

constexpr const char* own_databases = "('information_schema', 'performance_schema', 'sys')";

// "mariadb" and "dump" are mariadb-dump, "mysql" and "dump" mysqldump.
std::string beside(const std::string& client, std::string_view what) {
  const bool is_mariadb = client.ends_with("mariadb");
  return client + (is_mariadb ? "-" : "") + std::string(what);
}

std::vector<std::string> connecting(const std::string& program, const Connection& connection) {
  // MYSQL_HOST in the container's environment may name another server.
  return {program,
          "--no-defaults",
          "--host=localhost",
          "--protocol=socket",
          "--socket=" + connection.socket,
          "--user=" + connection.user};
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string probe_sql() {
  const std::string tables = fmt::format(
      "FROM information_schema.TABLES AS t LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = "
      "t.ENGINE WHERE t.TABLE_SCHEMA NOT IN {} AND t.TABLE_SCHEMA <> 'mysql'",
      own_databases);
  return "SET sql_mode = '';\n"
         "SELECT 'server', VERSION(), CURRENT_USER();\n"
         "SELECT 'right', PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = "
         "CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''');\n"
         "SELECT 'database', s.SCHEMA_NAME, IFNULL(SUM(t.DATA_LENGTH + t.INDEX_LENGTH), 0) FROM "
         "information_schema.SCHEMATA AS s LEFT JOIN information_schema.TABLES AS t ON "
         "t.TABLE_SCHEMA = s.SCHEMA_NAME WHERE s.SCHEMA_NAME NOT IN " +
         std::string(own_databases) +
         " GROUP BY s.SCHEMA_NAME ORDER BY s.SCHEMA_NAME;\n"
         "SELECT 'no transactions', CONCAT(t.TABLE_SCHEMA, '.', t.TABLE_NAME), t.ENGINE " +
         tables +
         " AND t.TABLE_TYPE = 'BASE TABLE' AND IFNULL(e.TRANSACTIONS, '') <> 'YES' ORDER BY "
         "t.TABLE_SCHEMA, t.TABLE_NAME;\n"
         "SELECT 'versioned', CONCAT(t.TABLE_SCHEMA, '.', t.TABLE_NAME), t.ENGINE " +
         tables +
         " AND t.TABLE_TYPE = 'SYSTEM VERSIONED' ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME;\n"
         // A role has no host.
         "SELECT 'account', CONCAT('SHOW GRANTS FOR ', QUOTE(User), IF(Host = '', '', CONCAT('@', "
         "QUOTE(Host)))) FROM mysql.user ORDER BY User, Host;\n";
}

// Rows of --dump-history can be fed again from 10.11 on.
bool dumps_history(const Facts& facts) {
  const std::vector<std::string_view> parts = split(facts.version, '.');
  const std::uint64_t major = number(parts.front());
  const std::uint64_t minor = parts.size() > 1 ? number(parts[1]) : 0;
  return facts.is_mariadb() && (major > 10 || (major == 10 && minor >= 11));
}

// "shop.sessions, shop.carts and 12 more".
std::string named(const std::vector<Facts::Table>& tables) {
  constexpr std::size_t most = 20;
  std::vector<std::string> names;
  for (const Facts::Table& one : tables) {
    if (names.size() == most) break;
    names.push_back(one.engine.empty() ? one.name : fmt::format("{} ({})", one.name, one.engine));
  }
  const std::string text = join(names, ", ");
  return tables.size() <= most ? text : fmt::format("{} and {} more", text, tables.size() - most);
}

// Without the strings after IDENTIFIED. Names may hold that word, too, but between quotes.
std::string without_digests(std::string_view grant) {
  std::string out;
  bool identified = false;
  for (std::size_t i = 0; i < grant.size();) {
    const char c = grant[i];
    if (c != '\'' && c != '"' && c != '`') {
      identified = identified || grant.substr(i).starts_with(" IDENTIFIED ");
      out += c;
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < grant.size() && grant[end] != c) end += grant[end] == '\\' && c != '`' ? 2 : 1;
    end = std::min(end + 1, grant.size());
    out += identified && c == '\'' ? "'...'" : grant.substr(i, end - i);
    i = end;
  }
  return out;
}

}  // namespace

std::string Programs::dump() const {
  return beside(client, "dump");
}

std::string Programs::admin() const {
  return beside(client, "admin");
}

std::vector<Programs> known_programs() {
  return {{"mariadb"},
          {"mysql"},
          {"/opt/bitnami/mariadb/bin/mariadb"},
          {"/opt/bitnami/mysql/bin/mysql"}};
}

std::vector<std::string> password_variables() {
  return {"MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"};
}

wire::ExecConfig find_socket(const Programs& programs, const std::string& user,
                             const std::vector<wire::EnvVar>& env) {
  wire::ExecConfig exec;
  exec.argv = {programs.client,       "--host=localhost",
               "--user=" + user,      "--batch",
               "--skip-column-names", "--execute=SELECT @@socket, @@port, @@skip_networking"};
  exec.env = env;
  return exec;
}

std::optional<Place> parse_place(std::string_view out) {
  const auto rows = parse_rows(out);
  if (rows.size() != 1 || rows[0].size() != 3 || rows[0][0].empty()) return std::nullopt;
  return Place{rows[0][0], number(rows[0][1]), rows[0][2] == "0"};
}

wire::ExecConfig client(const Connection& connection) {
  wire::ExecConfig exec;
  exec.argv = connecting(connection.programs.client, connection);
  exec.argv.insert(exec.argv.end(), {"--batch", "--skip-column-names", "--comments",
                                     "--default-character-set=utf8mb4"});
  exec.env = connection.env;
  return exec;
}

wire::ExecConfig query(const Connection& connection, const std::string& sql) {
  wire::ExecConfig exec = client(connection);
  exec.argv.push_back("--execute=" + sql);
  return exec;
}

std::vector<std::vector<std::string>> parse_rows(std::string_view out) {
  std::vector<std::vector<std::string>> rows;
  while (!out.empty()) {
    const std::string_view line = out.substr(0, out.find('\n'));
    out.remove_prefix(std::min(out.size(), line.size() + 1));
    std::vector<std::string> columns(1);
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\t') {
        columns.emplace_back();
      } else if (line[i] == '\\' && i + 1 < line.size()) {
        const char escaped = line[++i];
        columns.back() += escaped == 't'   ? '\t'
                          : escaped == 'n' ? '\n'
                          : escaped == '0' ? '\0'
                                           : escaped;
      } else {
        columns.back() += line[i];
      }
    }
    rows.push_back(std::move(columns));
  }
  return rows;
}

std::string sql_literal(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') literal += c;
    literal += c;
  }
  return literal + '\'';
}

wire::ExecConfig probe(const Connection& connection) {
  return query(connection, probe_sql());
}

std::optional<Facts> parse_probe(std::string_view out) {
  Facts facts;
  for (const std::vector<std::string>& row : parse_rows(out)) {
    const auto column = [&](std::size_t at) { return at < row.size() ? row[at] : std::string(); };
    const std::string& what = row.front();
    if (what == "server") {
      facts.version = column(1);
      facts.account = column(2);
    } else if (what == "right") {
      facts.rights.push_back(column(1));
    } else if (what == "database") {
      facts.databases.push_back({column(1), number(column(2))});
    } else if (what == "no transactions") {
      facts.without_transactions.push_back({column(1), column(2)});
    } else if (what == "versioned") {
      facts.versioned.push_back({column(1)});
    } else if (what == "account") {
      facts.show_grants.push_back(column(1));
    }
  }
  // Every server has `mysql`: one that does not show it shows nothing.
  if (facts.version.empty() || facts.databases.empty()) return std::nullopt;
  return facts;
}

std::vector<std::string> missing_rights(const Facts& facts) {
  std::vector<std::string> missing;
  for (const char* right : {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "LOCK TABLES"}) {
    if (std::find(facts.rights.begin(), facts.rights.end(), right) == facts.rights.end()) {
      missing.emplace_back(right);
    }
  }
  return missing;
}

wire::ExecConfig ask_grants(const Connection& connection, const Facts& facts) {
  return query(connection, "SET sql_mode = '';\n" + join(facts.show_grants, ";\n"));
}

std::vector<std::string> parse_grants(std::string_view out) {
  std::vector<std::string> grants;
  for (const std::vector<std::string>& row : parse_rows(out)) {
    grants.push_back(without_digests(row.front()));
  }
  return grants;
}

std::string in_one_order(const std::string& grant) {
  std::vector<std::string> words(1);
  for (const char c : grant) {
    if (c == ' ' || c == ',' || c == '(' || c == ')') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  std::sort(words.begin(), words.end());
  return std::string(trimmed(join(words, " ")));
}

service::Capture dump_capture(const service::Target& target, const Connection& connection,
                              const Place& place, const Facts& facts,
                              const std::vector<std::string>& grants) {
  service::Capture capture;
  capture.target = target;
  const std::string program = connection.programs.dump();
  capture.strategy = base_name(program);
  capture.consistency = service::Consistency::live;
  capture.consistency_reason = "all tables with transactions are read in one";

  service::ExecDump dump;
  dump.exec.argv = connecting(program, connection);
  dump.exec.argv.insert(
      dump.exec.argv.end(),
      {"--all-databases", "--single-transaction", "--quick", "--routines", "--events", "--triggers",
       "--hex-blob", "--comments", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"});
  // MySQL's would write a state of replication that no other server accepts.
  if (!facts.is_mariadb()) dump.exec.argv.emplace_back("--set-gtid-purged=OFF");
  const bool with_history = !facts.versioned.empty() && dumps_history(facts);
  if (with_history) dump.exec.argv.emplace_back("--dump-history");
  dump.exec.env = connection.env;
  service::Part part;
  part.what = std::move(dump);
  std::uint64_t bytes = 0;
  Json databases = Json::array();
  for (const Facts::Database& one : facts.databases) {
    bytes += one.bytes;
    databases.push_back({{"name", one.name}, {"bytes", one.bytes}});
  }
  if (bytes > 0) part.expected_bytes = bytes;
  capture.parts.push_back(std::move(part));

  capture.facts = {
      {"version", facts.version},
      {"account", facts.account},
      {"connection",
       {{"client", connection.programs.client}, {"socket", place.socket}, {"port", place.port}}},
      {"databases", std::move(databases)},
      {"grants", grants}};
  if (!facts.without_transactions.empty()) {
    capture.warnings.push_back(fmt::format(
        "their engines have no transactions: a write meanwhile may be in one of them and not in "
        "another: {}",
        named(facts.without_transactions)));
  }
  if (!place.networking) {
    capture.warnings.emplace_back(
        "the server listens on its socket only: a drill waits for an answer on 127.0.0.1, and so "
        "cannot see that it is up");
  }
  if (!facts.versioned.empty() && !with_history) {
    capture.incomplete.push_back(
        fmt::format("the history of tables with system versioning, which only mariadb-dump 10.11 "
                    "and later can dump: {}",
                    named(facts.versioned)));
  }
  return capture;
}

}  // namespace bba::services::mariadb
