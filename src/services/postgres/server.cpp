#include "server.hpp"

#include <algorithm>

#include "bba/base/text.hpp"

namespace bba::services::postgres {

namespace {

constexpr std::string_view bitnami_programs = "/opt/bitnami/postgresql/bin/";

std::vector<std::string> connection(const Identity& identity, std::string_view program) {
  std::vector<std::string> argv{identity.program_dir + std::string(program)};
  if (!identity.host.empty()) argv.insert(argv.end(), {"-h", identity.host});
  argv.insert(argv.end(), {"-w", "-U", identity.role});
  return argv;
}

bool has_password(const Identity& identity) {
  return std::any_of(identity.env.begin(), identity.env.end(), [](const wire::EnvVar& one) {
    return one.name == "PGPASSWORD" && !one.value.empty();
  });
}

constexpr std::string_view probe_sql =
    "SELECT json_build_object("
    "'version', current_setting('server_version'), "
    "'in_recovery', pg_is_in_recovery(), "
    "'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
    "'bootstrap', (SELECT rolname FROM pg_roles WHERE oid = 10), "
    "'databases', (SELECT json_agg(json_build_object('name', datname, "
    "'bytes', pg_database_size(oid), 'allow_connections', datallowconn, "
    "'template', datistemplate) ORDER BY datname) FROM pg_database))";

}  // namespace

bool is_bitnami(const wire::Container& container) {
  return wire::env_value(container, "BITNAMI_APP_NAME") == "postgresql" ||
         wire::env_value(container, "POSTGRESQL_PASSWORD").has_value() ||
         wire::env_value(container, "POSTGRESQL_PASSWORD_FILE").has_value() ||
         wire::env_value(container, "POSTGRESQL_USERNAME").has_value();
}

std::vector<std::string> password_variables(const wire::Container& container) {
  if (is_bitnami(container)) {
    return {"POSTGRESQL_POSTGRES_PASSWORD", "POSTGRES_POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD",
            "POSTGRES_PASSWORD"};
  }
  return {"POSTGRES_PASSWORD", "PGPASSWORD"};
}

std::vector<std::string> all_password_variables() {
  return {"POSTGRESQL_POSTGRES_PASSWORD", "POSTGRES_POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD",
          "POSTGRES_PASSWORD", "PGPASSWORD"};
}

std::vector<Identity> identities(const service::Target& target,
                                 const std::optional<std::string>& password) {
  const wire::Container& container = target.container;
  std::vector<wire::EnvVar> env = target.operator_env;
  const auto has_password = [&env] {
    return std::any_of(env.begin(), env.end(), [](const wire::EnvVar& one) {
      return one.name == "PGPASSWORD" && !one.value.empty();
    });
  };
  // The operator's password wins; of two variables with one name the last would count.
  if (password && !has_password()) env.push_back({"PGPASSWORD", *password});

  std::vector<std::string> roles;
  const auto add_role = [&](const std::optional<std::string>& role) {
    if (role && !role->empty() && std::find(roles.begin(), roles.end(), *role) == roles.end()) {
      roles.push_back(*role);
    }
  };
  add_role(target.settings.user);
  const bool bitnami = is_bitnami(container);
  // Bitnami's POSTGRESQL_USERNAME is not a superuser; postgres is.
  if (bitnami) add_role("postgres");
  add_role(wire::env_value(container, "POSTGRES_USER"));
  add_role(wire::env_value(container, "POSTGRESQL_USERNAME"));
  add_role("postgres");

  const std::string program_dir(bitnami ? bitnami_programs : "");
  std::vector<Identity> all;
  for (const std::string& role : roles) all.push_back({"", role, program_dir, "", env});
  // Debian's own clusters: peer authentication, so the container's user must be the role's
  // namesake.
  all.push_back({"postgres", "postgres", program_dir, "", env});
  // For a server whose socket is somewhere else.
  if (has_password()) all.push_back({"", roles.front(), program_dir, "127.0.0.1", env});
  return all;
}

wire::ExecConfig query(const Identity& identity, const std::string& database,
                       const std::string& sql) {
  wire::ExecConfig exec;
  exec.argv = connection(identity, "psql");
  exec.argv.insert(exec.argv.end(),
                   {"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql});
  exec.env = identity.env;
  exec.user = identity.exec_user;
  return exec;
}

wire::ExecConfig probe(const Identity& identity) {
  return query(identity, "postgres", std::string(probe_sql));
}

std::optional<Facts> parse_probe(std::string_view out) {
  const std::optional<Json> json = parse_json(trimmed(out));
  if (!json) return std::nullopt;
  Facts facts;
  const auto version = string_member(*json, "version");
  const Json* databases = member(*json, "databases");
  if (!version || databases == nullptr || !databases->is_array()) return std::nullopt;
  facts.version = *version;
  facts.in_recovery = bool_member(*json, "in_recovery").value_or(false);
  facts.superuser = bool_member(*json, "superuser").value_or(false);
  facts.bootstrap_role = string_member(*json, "bootstrap").value_or("");
  for (const Json& one : *databases) {
    const auto name = string_member(one, "name");
    if (!name) return std::nullopt;
    facts.databases.push_back({*name, size_member(one, "bytes").value_or(0),
                               bool_member(one, "allow_connections").value_or(true),
                               bool_member(one, "template").value_or(false)});
  }
  return facts;
}

service::Capture dump_capture(const service::Target& target, const Identity& identity,
                              const Facts& facts, std::chrono::seconds lock_wait_timeout) {
  service::Capture capture;
  capture.target = target;
  capture.strategy = "pg_dumpall";
  capture.consistency = service::Consistency::live;
  capture.consistency_reason = "each database is dumped in one transaction of its own";

  service::ExecDump dump;
  dump.exec.argv = connection(identity, "pg_dumpall");
  dump.exec.argv.push_back(fmt::format("--lock-wait-timeout={}", lock_wait_timeout.count() * 1000));
  dump.exec.env = identity.env;
  dump.exec.user = identity.exec_user;
  capture.parts.push_back({"", nullptr, std::move(dump)});

  Json databases = Json::array();
  std::vector<std::string> closed;
  for (const Database& one : facts.databases) {
    databases.push_back({{"name", one.name},
                         {"bytes", one.bytes},
                         {"allow_connections", one.allow_connections},
                         {"template", one.is_template}});
    // template0 is the pristine template that every cluster has; nothing of it is lost.
    if (!one.allow_connections && one.name != "template0") closed.push_back(one.name);
  }
  capture.facts = {
      {"version", facts.version},
      {"in_recovery", facts.in_recovery},
      {"role", identity.role},
      {"bootstrap_role", facts.bootstrap_role.empty() ? identity.role : facts.bootstrap_role},
      // How a restore reaches the server; without the password.
      {"connection",
       {{"user", identity.exec_user},
        {"program_dir", identity.program_dir},
        {"host", identity.host},
        {"password", has_password(identity)}}},
      {"databases", std::move(databases)}};
  if (!closed.empty()) {
    capture.warnings.push_back(
        fmt::format("not in the dump, because they allow no connections: {}", join(closed, ", ")));
  }
  if (facts.in_recovery) {
    capture.warnings.push_back(
        "the server is a standby: the dump shows what it has replayed so far");
  }
  if (!facts.superuser) {
    capture.warnings.push_back(fmt::format(
        "role {} is not a superuser: pg_dumpall may be refused what it needs", identity.role));
  }
  if (facts.databases.size() > 4) {
    capture.warnings.push_back(
        "databases are dumped one after another: there is no common point in time across them");
  }
  return capture;
}

}  // namespace bba::services::postgres
