// Class A, PostgreSQL: pg_dumpall by exec, after a probe with psql has found who may dump and what
// is there. Sources: PostgreSQL's documents of pg_dumpall and psql; the official, Bitnami and
// Debian images.
#pragma once

#include "bba/service/capture.hpp"

namespace bba::services::postgres {

// One way to reach the server: as whom, with what password, over which host.
struct Identity {
  std::string exec_user;          // container user; "" is the container's own
  std::string role;               // PostgreSQL role
  std::string program_dir;        // "" or "/opt/bitnami/postgresql/bin/"
  std::string host;               // "" is the default socket
  std::vector<wire::EnvVar> env;  // PGPASSWORD
};

// The identities worth trying, best first. `password` is the value of POSTGRES_PASSWORD and the
// like, with _FILE variants already read.
std::vector<Identity> identities(const service::Target& target,
                                 const std::optional<std::string>& password);
// The names of the container's variables that may hold the password, best first; each may have a
// _FILE twin.
std::vector<std::string> password_variables(const wire::Container& container);
// Those of every image.
std::vector<std::string> all_password_variables();
bool is_bitnami(const wire::Container& container);

wire::ExecConfig probe(const Identity& identity);
// A query against one database, through psql, unaligned, tuples only.
wire::ExecConfig query(const Identity& identity, const std::string& database,
                       const std::string& sql);

struct Database {
  std::string name;
  std::uint64_t bytes = 0;
  bool allow_connections = true;
  bool is_template = false;
};
struct Facts {
  std::string version;  // "15.20 (Debian ...)"
  bool in_recovery = false;
  bool superuser = false;
  std::string bootstrap_role;  // the superuser that the cluster was made with; may be empty
  std::vector<Database> databases;
};
std::optional<Facts> parse_probe(std::string_view out);

service::Capture dump_capture(const service::Target& target, const Identity& identity,
                              const Facts& facts, std::chrono::seconds lock_wait_timeout);

}  // namespace bba::services::postgres
