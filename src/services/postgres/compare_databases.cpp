// Class A: a fresh cluster of the same image takes the dump, and has to hold afterwards what the
// backup counted as the dump passed.
#include <algorithm>
#include <charconv>
#include <map>

#include "bba/base/text.hpp"
#include "server.hpp"
#include "bba/restore/feed_exec.hpp"
#include "bba/restore/scratch.hpp"
#include "bba/restore/artifact_source.hpp"
#include "bba/docker/secrets.hpp"

namespace bba::ops {

namespace {

// Scripts in here would fill the fresh cluster with what the dump is about to bring.
constexpr const char* init_scripts = "/docker-entrypoint-initdb.d";
constexpr std::size_t most_answers = 64 << 20;

// A cluster with nothing in it but its superuser: whatever database or user the live container asks
// its image to make, the dump makes itself.
ScratchSpec fresh_cluster(const wire::Container& live) {
  ScratchSpec spec;
  spec.volumes = data_volumes(live);
  std::erase_if(spec.volumes, [](const ScratchVolume& volume) {
    return volume.destination.starts_with(init_scripts);
  });
  spec.volumes.push_back({init_scripts});
  spec.set_env["POSTGRES_DB"] = "postgres";
  spec.unset_env = {
      "POSTGRES_DB_FILE",         "POSTGRESQL_DATABASE",         "POSTGRESQL_USERNAME",
      "POSTGRESQL_USERNAME_FILE", "POSTGRESQL_REPLICATION_MODE", "POSTGRESQL_REPLICATION_USER"};
  // Bitnami's password is that of the user it is told to make, and of postgres without one.
  for (const char* file : {"", "_FILE"}) {
    const auto superuser =
        wire::env_value(live, std::string("POSTGRESQL_POSTGRES_PASSWORD") + file);
    if (!superuser) continue;
    spec.unset_env.insert({"POSTGRESQL_PASSWORD", "POSTGRESQL_PASSWORD_FILE"});
    spec.set_env[std::string("POSTGRESQL_PASSWORD") + file] = *superuser;
  }
  return spec;
}

std::string sql_literal(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) {
    if (c == '\'') literal += '\'';
    literal += c;
  }
  return literal + '\'';
}

struct Cluster {
  classes::PostgresIdentity identity;
  classes::PostgresFacts facts;
};

class SqlDrill {
 public:
  SqlDrill(const DrillContext& context, const std::string& scratch)
      : context_(context), scratch_(scratch), engine_(patient_engine(context)) {}

  void start() {
    // Over TCP: the server that the image runs while it sets the cluster up listens on the socket
    // only. Without a network there is still the loopback.
    const wire::ExecConfig ready{.argv = {"pg_isready", "--quiet", "--host", "127.0.0.1"}};
    start_scratch(context_, scratch_,
                  [&] { return context_.session.engine.run(scratch_, ready).exit_code == 0; });
    cluster_ = find_identity();
    for (const classes::PostgresDatabase& one : cluster_.facts.databases) {
      if (one.name == "postgres" || one.is_template) continue;
      throw Error(
          ErrorKind::capture,
          fmt::format("the scratch container has made a database {} by itself, so it cannot "
                      "take a dump",
                      one.name),
          "does its image hold scripts of its own?");
    }
  }

  void restore(const store::ArtifactRecord& record) {
    const std::string role = superuser();
    ArtifactSource source(
        context_.session.stop, context_.directory, record,
        [&](pipe::Stage& next) { return std::make_unique<RoleFilter>(role, next); });
    Progress progress{"restoring " + record.file, 0, record.uncompressed_bytes};
    const Fed fed = feed(
        engine_, scratch_, psql("postgres"),
        [&] {
          std::optional<Chunk> chunk = source.next();
          if (chunk) {
            progress.bytes += chunk->size();
            context_.session.reporter.progress(progress);
          }
          return chunk;
        },
        most_answers);
    context_.session.reporter.progress_end();
    if (fed.exit_code == 0 && fed.took_everything) return;
    const std::string words = last_words(fed.err);
    const bool no_room = words.find("No space left on device") != words.npos;
    // psql's own codes: 2 is a lost connection, 3 an error in the script.
    if (no_room || fed.exit_code == 2) {
      throw Error(ErrorKind::capture,
                  fmt::format("the scratch container could not take the dump: {}", words),
                  no_room ? "the engine's disk is full" : "does it need more --memory?");
    }
    throw Error(ErrorKind::artifact, fmt::format("the dump does not restore: psql ended with exit "
                                                 "code {}: {}",
                                                 fed.exit_code, words));
  }

  PartReport compare(const store::ArtifactRecord& record) {
    const auto facts = classes::parse_postgres_probe(
        engine_.run(scratch_, classes::postgres_probe(cluster_.identity)).out);
    if (!facts) throw Error(ErrorKind::capture, "the scratch server does not answer any more");
    PartReport report;
    const Json* databases = member(record.found, "databases");
    for (const Json& one : *databases) {
      const std::string name = string_member(one, "name").value_or("");
      const bool there = std::any_of(
          facts->databases.begin(), facts->databases.end(),
          [&](const auto& other) { return other.name == name && other.allow_connections; });
      if (!there)
        throw Error(ErrorKind::artifact, fmt::format("restored, there is no database {}", name));
      context_.session.reporter.note(fmt::format("comparing database {}", name));
      with_context("database " + name, [&] { compare_database(name, one, report); });
    }
    report.compared = {{"databases", databases->size()},
                       {"extensions", extensions_},
                       {"tables", tables_},
                       {"rows", rows_},
                       {"large_objects", large_objects_}};
    report.lines.push_back(fmt::format(
        "{} databases, {} extensions, {} tables with {} rows, {} large objects came back",
        databases->size(), extensions_, tables_, rows_, large_objects_));
    return report;
  }

 private:
  Cluster find_identity() {
    classes::Target target;
    target.module = context_.manifest.module;
    target.container = context_.session.engine.inspect(scratch_);
    const auto settings = context_.session.settings.config.modules.find(target.module);
    if (settings != context_.session.settings.config.modules.end())
      target.settings = settings->second;
    const auto password =
        scratch_secret(context_, scratch_, classes::postgres_password_variables(target.container));
    std::string refusal;
    for (const auto& identity : classes::postgres_identities(target, password)) {
      const docker::ExecResult result = engine_.run(scratch_, classes::postgres_probe(identity));
      const auto facts = classes::parse_postgres_probe(result.out);
      if (result.exit_code == 0 && facts && facts->superuser) return {identity, *facts};
      if (refusal.empty()) refusal = last_words(result.err.empty() ? result.out : result.err);
    }
    throw Error(ErrorKind::capture,
                "psql could not ask the scratch server anything as its superuser: " + refusal);
  }

  wire::ExecConfig psql(const std::string& database) const {
    wire::ExecConfig exec = classes::postgres_query(cluster_.identity, database, "");
    // The script comes through stdin instead.
    exec.argv.resize(exec.argv.size() - 2);
    return exec;
  }

  std::string superuser() {
    const docker::ExecResult result = engine_.run(
        scratch_,
        classes::postgres_query(cluster_.identity, "postgres",
                                "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10"));
    return std::string(trimmed(result.out));
  }

  std::string ask(const std::string& database, const std::string& script) {
    bool told = false;
    const Fed fed = feed(
        engine_, scratch_, psql(database),
        [&]() -> std::optional<Chunk> {
          if (told) return std::nullopt;
          told = true;
          return Chunk::copy_of(script);
        },
        most_answers);
    if (fed.exit_code != 0 || !fed.took_everything) {
      throw Error(ErrorKind::capture,
                  "the scratch server could not be asked: " + last_words(fed.err));
    }
    return fed.out;
  }

  // One line for each: "extension NAME", "large COUNT BYTES", "table NUMBER OF_AN_EXTENSION ROWS".
  static std::string questions(const Json& tables) {
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
          "ELSE 'ONLY' END, c.oid::pg_catalog.regclass) FROM pg_catalog.pg_class AS c WHERE c.oid "
          "= "
          "pg_catalog.to_regclass({}) \\gexec\n",
          number++, sql_literal(table));
    }
    return script;
  }

  void compare_database(const std::string& name, const Json& said, PartReport& report) {
    const Json* tables = member(said, "tables");
    const Json* extensions = member(said, "extensions");
    if (tables == nullptr || extensions == nullptr) {
      throw Error(ErrorKind::artifact, "the manifest does not say its tables and extensions");
    }
    std::map<std::size_t, std::pair<bool, std::uint64_t>> counted;
    std::vector<std::string> present;
    std::uint64_t large_objects = 0, large_object_bytes = 0;
    const std::string answer = ask(name, questions(*tables));
    for (const std::string_view line : split(answer, '\n')) {
      const std::vector<std::string_view> words = split(line, ' ');
      const auto number = [&](std::size_t index) {
        std::uint64_t value = 0;
        if (index < words.size()) {
          std::from_chars(words[index].data(), words[index].data() + words[index].size(), value);
        }
        return value;
      };
      if (words[0] == "extension") present.emplace_back(line.substr(words[0].size() + 1));
      if (words[0] == "large") {
        large_objects = number(1);
        large_object_bytes = number(2);
      }
      if (words[0] == "table") counted[number(1)] = {number(2) != 0, number(3)};
    }

    for (const Json& one : *extensions) {
      const auto extension = one.get<std::string>();
      if (std::find(present.begin(), present.end(), extension) == present.end()) {
        throw Error(ErrorKind::artifact, fmt::format("restored, it lacks extension {}", extension));
      }
      ++extensions_;
    }
    require_equal("large objects", large_objects, size_member(said, "large_objects").value_or(0));
    require_equal("bytes in large objects", large_object_bytes,
                  size_member(said, "large_object_bytes").value_or(0));
    large_objects_ += large_objects;
    std::size_t number = 0;
    for (const auto& [table, rows] : tables->items()) {
      const auto found = counted.find(number++);
      if (found == counted.end()) {
        throw Error(ErrorKind::artifact, fmt::format("restored, there is no table {}", table));
      }
      const auto [of_extension, count] = found->second;
      const auto wanted = rows.get<std::uint64_t>();
      // Such a table has rows that its extension brings, which no dump holds.
      if (!of_extension || count < wanted) {
        require_equal(fmt::format("rows in table {}", table), count, wanted);
      }
      rows_ += wanted;
      ++tables_;
    }
    if (const auto left_out = size_member(said, "tables_left_out")) {
      report.not_proven.push_back(
          fmt::format("database {}: the rows of {} tables, beyond those that a manifest lists",
                      name, *left_out));
    }
  }

  static void require_equal(const std::string& what, std::uint64_t restored, std::uint64_t dumped) {
    if (restored == dumped) return;
    throw Error(ErrorKind::artifact, fmt::format("{} {} after restoring, and the dump holds {}",
                                                 restored, what, dumped));
  }

  const DrillContext& context_;
  const std::string& scratch_;
  docker::Engine engine_;
  Cluster cluster_;
  std::uint64_t extensions_ = 0, tables_ = 0, rows_ = 0, large_objects_ = 0;
};

}  // namespace

PartReport drill_sql(const DrillContext& context, const store::ArtifactRecord& record) {
  PartReport report;
  with_scratch(context, fresh_cluster(context.live), [&](const std::string& scratch) {
    lend_configuration(context, scratch, {init_scripts});
    SqlDrill drill(context, scratch);
    drill.start();
    drill.restore(record);
    report = drill.compare(record);
  });
  return report;
}

}  // namespace bba::ops
