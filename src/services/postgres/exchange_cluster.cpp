#include "exchange_cluster.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/service/restore_steps.hpp"
#include "restore.hpp"
#include "server.hpp"

namespace bba::services::postgres {

namespace {

// As the images have it; what the server itself says is asked once one runs on what was built.
std::string data_directory(const wire::Container& live) {
  for (const char* name : {"PGDATA", "POSTGRESQL_DATA_DIR"}) {
    const auto value = wire::env_value(live, name);
    if (const auto path = value ? normal_path(*value) : std::nullopt) return *path;
  }
  return is_bitnami(live) ? "/bitnami/postgresql/data" : "/var/lib/postgresql/data";
}

// Names within the data directory: its configuration, and TLS keys as the documentation calls them
// or as their files are mostly named.
constexpr std::array configuration{"postgresql.conf", "postgresql.auto.conf",
                                   "pg_hba.conf",     "pg_ident.conf",
                                   "*.crt",           "*.key",
                                   "*.pem",           "*.crl",
                                   "conf.d"};

service::Program asking(service::RestoreTarget& target, const std::string& sql) {
  service::Program program{query(restoring_identity(target.manifest().facts), "postgres", sql)};
  program.secrets["PGPASSWORD"] = all_password_variables();
  return program;
}

docker::ExecResult answer_to(service::RestoreTarget& target, const std::string& sql) {
  return target.run(service::resolved(asking(target, sql), target));
}

// 15 of "15.20 (Debian 15.20-1)".
int major_of(std::string_view version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::container, why, "restore it by hand: the manifest has the commands");
}

}  // namespace

std::string cluster_mount(const wire::Container& live) {
  const std::string directory = data_directory(live);
  const auto mount = service::mount_holding(live, directory);
  if (!mount) {
    refuse(fmt::format("the data directory {} is on no mount of {}", directory, live.name));
  }
  return mount->destination;
}

bool is_configuration(const wire::Container& live, const std::string& path) {
  const std::string directory = data_directory(live);
  if (!lies_within(path, directory)) return !lies_within(directory, path);
  const std::string below = path.substr(std::min(path.size(), directory.size() + 1));
  const std::string name = below.substr(0, below.find('/'));
  return std::any_of(configuration.begin(), configuration.end(),
                     [&](const char* glob) { return glob_match(glob, name); });
}

void require_plain_cluster(const service::ExchangePlace& place) {
  const std::string directory =
      place.host_path + data_directory(place.live).substr(place.destination.size());
  const auto there = [&](const char* name) {
    return std::filesystem::exists(std::filesystem::symlink_status(directory + '/' + name));
  };
  if (there("standby.signal") || there("recovery.signal") || there("recovery.conf")) {
    throw Error(ErrorKind::container,
                "the server is a standby: it would have to follow its primary",
                "restore the primary, and make the standby anew from it");
  }
  std::error_code error;
  const std::filesystem::directory_iterator tablespaces(directory + "/pg_tblspc", error);
  if (!error && tablespaces != std::filesystem::directory_iterator()) {
    refuse("the cluster has tablespaces, which lie outside of its data directory");
  }
  for (const char* wal : {"pg_wal", "pg_xlog"}) {
    if (std::filesystem::is_symlink(directory + '/' + wal, error)) {
      refuse(fmt::format("{} of the cluster is a link: its WAL lies outside of the data directory",
                         wal));
    }
  }
}

void require_same_directory(const service::ExchangePlace& place, service::RestoreTarget& target) {
  const docker::ExecResult answer = answer_to(
      target, "SELECT current_setting('data_directory'), current_setting('server_version')");
  const std::vector<std::string_view> fields = split(trimmed(answer.out), '|');
  if (answer.exit_code != 0 || fields.size() != 2) {
    throw Error(ErrorKind::capture, "the built server does not say where its data is");
  }
  if (!lies_within(fields[0], place.destination)) {
    throw Error(ErrorKind::capture,
                fmt::format("the server keeps its data in {}, which is not in the mount {}",
                            fields[0], place.destination));
  }
  const auto dumped = string_member(target.manifest().facts, "version").value_or("");
  if (major_of(fields[1]) < major_of(dumped)) {
    throw Error(
        ErrorKind::capture,
        fmt::format("the dump is of PostgreSQL {}, and the container's image has {}: a dump "
                    "does not go into an older server",
                    dumped, fields[1]),
        "restore it with the image that was backed up");
  }
}

bool has_databases(service::RestoreTarget& target) {
  const docker::ExecResult answer = answer_to(target, "SELECT datname FROM pg_catalog.pg_database");
  if (answer.exit_code != 0) return false;
  const std::vector<std::string_view> present = split(trimmed(answer.out), '\n');
  const Json* databases = member(target.record().found, "databases");
  if (databases == nullptr) return true;
  for (const Json& one : *databases) {
    const std::string name = string_member(one, "name").value_or("");
    if (std::find(present.begin(), present.end(), name) == present.end()) {
      throw Error(ErrorKind::capture, fmt::format("the server has no database {}", name));
    }
  }
  return true;
}

}  // namespace bba::services::postgres
