#include "exchange_data.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/mounts.hpp"
#include "bba/service/restore_steps.hpp"
#include "restore.hpp"
#include "server.hpp"

namespace bba::services::mariadb {

namespace {

namespace fs = std::filesystem;

constexpr const char* by_hand = "restore it by hand: the manifest has the commands";

// Where images keep it: the official ones, Bitnami's, linuxserver's.
constexpr std::array known_directories{"/var/lib/mysql", "/bitnami/mariadb/data",
                                       "/bitnami/mysql/data", "/config/databases"};

// Names within the data directory. MySQL makes its keys there itself, and keeps there what SET
// PERSIST said; the official MariaDB image keeps there the password of its health check. A database
// has none of these names: a dot in one becomes @002e.
constexpr std::array configuration{"*.cnf", "*.pem", "*.key", "*.crt", "*.crl", "debian-*.flag"};
// The server's UUID: a replica would skip what the new server writes under the old one.
constexpr const char* identity = "auto.cnf";

bool is_configuration_name(std::string_view name) {
  return name != identity && std::any_of(configuration.begin(), configuration.end(),
                                         [&](const char* glob) { return glob_match(glob, name); });
}

// What the command line says, else as the images have it. What the server itself says is asked
// once one runs on what was built.
std::string data_directory(const wire::Container& live) {
  std::vector<std::string> words = live.entrypoint;
  words.insert(words.end(), live.cmd.begin(), live.cmd.end());
  constexpr std::string_view option = "--datadir";
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::optional<std::string> path;
    if (words[i] == option && i + 1 < words.size()) path = normal_path(words[i + 1]);
    if (words[i].starts_with("--datadir=")) path = normal_path(words[i].substr(option.size() + 1));
    if (path) return *path;
  }
  const auto held = std::find_if(
      known_directories.begin(), known_directories.end(),
      [&](const char* path) { return service::mount_holding(live, path).has_value(); });
  return held == known_directories.end() ? known_directories.front() : *held;
}

// The data directory of a container, below the mount's source on this host.
std::string on_host(const service::ExchangePlace& place, const std::string& source) {
  return source + data_directory(place.live).substr(place.destination.size());
}

// ---- files

// The first entry that leads out of the data directory: a table with a DATA DIRECTORY of its own is
// a link, or has a file .isl that says where it is. MySQL 8 makes neither, so the built one is
// asked, too.
std::string entry_elsewhere(const std::string& directory) {
  const auto is_one = [](const fs::directory_entry& entry) {
    std::error_code gone;
    return entry.is_symlink(gone) || entry.path().extension() == ".isl";
  };
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (is_configuration_name(name)) continue;
    if (is_one(entry)) return name;
    if (!entry.is_directory(error)) continue;
    for (const fs::directory_entry& table : fs::directory_iterator(entry.path(), error)) {
      if (is_one(table)) return name + '/' + table.path().filename().string();
    }
  }
  return {};
}

bool has_file(const std::string& directory, const char* glob) {
  std::error_code error;
  const fs::directory_iterator entries(directory, error);
  return std::any_of(begin(entries), end(entries), [&](const fs::directory_entry& entry) {
    std::error_code gone;
    // MariaDB has an empty multi-master.info where there is no master.
    return glob_match(glob, entry.path().filename().string()) && entry.is_regular_file(gone) &&
           entry.file_size(gone) > 0;
  });
}

[[noreturn]] void refuse_replica() {
  throw Error(ErrorKind::container,
              "the server is a replica: it would have to follow its master again",
              "restore its master, and make the replica anew from it");
}

[[noreturn]] void refuse_galera() {
  throw Error(ErrorKind::container,
              "the server is one of a Galera cluster: it would take the others' data again",
              "stop the others, restore one by hand, and let it begin a new cluster");
}

std::string words_for(const std::string& elsewhere) {
  return fmt::format("a part of the data lies outside of the data directory: {}", elsewhere);
}

// ---- the server's words

constexpr const char* ask_variables =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'datadir', 'innodb_data_home_dir', "
    "'innodb_data_file_path', 'innodb_log_group_home_dir', 'innodb_undo_directory', "
    "'innodb_doublewrite_dir', 'aria_log_dir_path', 'rocksdb_datadir', 'rocksdb_wal_dir', "
    "'log_bin_basename', 'wsrep_on')";

Variables parse_variables(std::string_view out) {
  Variables variables;
  for (const std::vector<std::string>& row : parse_rows(out)) {
    if (row.size() == 2) variables[row[0]] = row[1];
  }
  return variables;
}

std::string value_of(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string() : found->second;
}

// The paths of "ibdata1:12M;/disk2/ibdata2:50M:autoextend".
std::vector<std::string> data_files(std::string_view setting) {
  std::vector<std::string> paths;
  for (const std::string_view one : split(setting, ';')) {
    paths.emplace_back(one.substr(0, one.find(':')));
  }
  return paths;
}

struct Release {
  bool is_mariadb = false;
  std::string series;  // "10.11"
  std::string text;    // for people: "MariaDB 10.11.18"
};

std::optional<Release> parse_release(std::string_view version) {
  const std::string_view number = version.substr(0, version.find('-'));
  const std::vector<std::string_view> parts = split(number, '.');
  if (parts.size() < 2 || parts[0].empty() || std::isdigit(parts[0].front()) == 0) {
    return std::nullopt;
  }
  Release release;
  release.is_mariadb = version.find("MariaDB") != version.npos;
  release.series = fmt::format("{}.{}", parts[0], parts[1]);
  release.text = fmt::format("{} {}", release.is_mariadb ? "MariaDB" : "MySQL", number);
  return release;
}

struct Reply {
  std::optional<std::string> out;  // where it took a password, and the statement
  bool up = false;                 // it said something, and be it that it lets nobody in
};

// Asks a server whose passwords may be those of today or those of the dump: with the operator's,
// the container's, or none.
class Caller {
 public:
  explicit Caller(service::RestoreTarget& target)
      : target_(target), connection_(restoring_connection(target.manifest().facts)) {
    connection_.user = target.settings().user.value_or(connection_.user);
    const auto& environment = target.operator_environment();
    const auto lent = environment.find("MYSQL_PWD");
    if (lent != environment.end() && !lent->second.empty()) passwords_.emplace_back(lent->second);
    if (auto own = target.secret(password_variables())) passwords_.push_back(std::move(own));
    passwords_.emplace_back();
  }

  Reply ask(const std::string& sql) const {
    Reply reply;
    for (const std::optional<std::string>& password : passwords_) {
      Connection connection = connection_;
      connection.env.clear();
      if (password) connection.env.push_back({"MYSQL_PWD", *password});
      docker::ExecResult result = target_.run(query(connection, sql));
      if (result.exit_code == 0) return {std::move(result.out), true};
      // Those of 2000 and more are the client's own: it did not reach one.
      for (const char* of_server : {"ERROR 1", "ERROR 3", "ERROR 4"}) {
        reply.up = reply.up || result.err.find(of_server) != std::string::npos;
      }
    }
    return reply;
  }

 private:
  service::RestoreTarget& target_;
  Connection connection_;
  std::vector<std::optional<std::string>> passwords_;
};

bool is_replica(const Caller& caller) {
  // Each server knows one of them: MariaDB, MySQL, MySQL before 8.0.22.
  for (const char* sql : {"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}) {
    const Reply reply = caller.ask(sql);
    if (reply.out) return !trimmed(*reply.out).empty();
  }
  return false;
}

// The databases of the record that are not among these.
std::string missing_database(const store::ArtifactRecord& record,
                             const std::vector<std::string>& present) {
  const Json* databases = member(record.found, "databases");
  if (databases == nullptr) return {};
  for (const Json& one : *databases) {
    const std::string name = string_member(one, "name").value_or("");
    if (std::find(present.begin(), present.end(), name) == present.end()) return name;
  }
  return {};
}

}  // namespace

std::string data_mount(const wire::Container& live) {
  const std::string directory = data_directory(live);
  const auto mount = service::mount_holding(live, directory);
  if (!mount) {
    throw Error(ErrorKind::container,
                fmt::format("the data directory {} is on no mount of {}", directory, live.name),
                by_hand);
  }
  for (const service::MountChoice& other : service::mounts_of(live)) {
    const std::string& path = other.mount.destination;
    if (!other.taken || other.source == tree::SourceKind::file) continue;
    if (path == directory || !lies_within(path, directory)) continue;
    throw Error(ErrorKind::container,
                fmt::format("{}, in the data directory, is a mount of its own", path), by_hand);
  }
  return mount->destination;
}

bool is_configuration(const wire::Container& live, const std::string& path) {
  const std::string directory = data_directory(live);
  if (!lies_within(path, directory)) return !lies_within(directory, path);
  const std::string below = path.substr(std::min(path.size(), directory.size() + 1));
  return is_configuration_name(below.substr(0, below.find('/')));
}

std::string leads_elsewhere(const Variables& variables) {
  const auto directory = normal_path(value_of(variables, "datadir"));
  if (!directory) return {};
  // A path that is not absolute begins in the data directory.
  const auto is_inside = [&](const std::string& path) {
    const auto normal = normal_path(path.starts_with('/') ? path : *directory + '/' + path);
    return normal && lies_within(*normal, *directory);
  };
  for (const auto& [name, value] : variables) {
    if (name == "datadir" || name == "version" || name == "wsrep_on") continue;
    const std::vector<std::string> paths =
        name == "innodb_data_file_path" ? data_files(value) : std::vector<std::string>{value};
    if (!std::all_of(paths.begin(), paths.end(), is_inside)) {
      return fmt::format("{} is {}", name, value);
    }
  }
  return {};
}

std::string version_misfit(std::string_view of_dump, std::string_view of_server) {
  const auto dump = parse_release(of_dump);
  const auto server = parse_release(of_server);
  if (!dump || !server) return {};
  if (dump->is_mariadb == server->is_mariadb && dump->series == server->series) return {};
  return fmt::format(
      "the dump is of {}, and the container's server is {}: the accounts of one release do not go "
      "into another as they are",
      dump->text, server->text);
}

void require_plain_server(const service::ExchangePlace& place, service::RestoreTarget* live) {
  const std::string directory = on_host(place, place.host_path);
  if (has_file(directory, "*master*.info")) refuse_replica();
  if (has_file(directory, "grastate.dat")) refuse_galera();
  if (const std::string entry = entry_elsewhere(directory); !entry.empty()) {
    throw Error(ErrorKind::container, words_for(entry), by_hand);
  }
  std::optional<Variables> variables;
  if (live != nullptr) {
    const Caller caller(*live);
    if (const Reply reply = caller.ask(ask_variables); reply.out) {
      variables = parse_variables(*reply.out);
      if (is_replica(caller)) refuse_replica();
    } else {
      live->note(
          "the server lets nobody in whose password is known (MYSQL_PWD): whether it is a replica, "
          "its files alone tell");
    }
  }
  if (!variables) {
    // MySQL keeps its master's name in a table. One that was a replica once may have this still,
    // so that it does not count where the server itself can be asked.
    const bool will_be_asked = live == nullptr && place.live.running;
    if (!will_be_asked && has_file(directory, "*relay-bin*.index")) refuse_replica();
    return;
  }
  if (value_of(*variables, "wsrep_on") == "ON") refuse_galera();
  if (const std::string elsewhere = leads_elsewhere(*variables); !elsewhere.empty()) {
    throw Error(ErrorKind::container, words_for(elsewhere), by_hand);
  }
  // The present server need not be able to read what is restored.
  if (place.is_replaced) return;
  const auto dumped = string_member(live->manifest().facts, "version").value_or("");
  const std::string misfit = version_misfit(dumped, value_of(*variables, "version"));
  if (misfit.empty()) return;
  throw Error(ErrorKind::container, misfit,
              "restore it with the image that was backed up, or by hand, with an upgrade");
}

void require_same_directory(const service::ExchangePlace& place, service::RestoreTarget& target) {
  const auto answer_to = [&](const std::string& sql) {
    service::Program program{query(restoring_connection(target.manifest().facts), sql)};
    program.secrets["MYSQL_PWD"] = password_variables();
    docker::ExecResult answer = target.run(service::resolved(program, target));
    if (answer.exit_code == 0) return answer.out;
    throw Error(ErrorKind::capture, "the built server does not say where its data is: " +
                                        docker::last_output(answer.err));
  };
  const Variables variables = parse_variables(answer_to(ask_variables));
  const std::string directory = data_directory(place.live);
  const std::string said = value_of(variables, "datadir");
  if (normal_path(said) != directory) {
    throw Error(ErrorKind::capture,
                fmt::format("the server keeps its data in {}, and not in {}", said, directory),
                by_hand);
  }
  std::string elsewhere = leads_elsewhere(variables);
  const std::string version = value_of(variables, "version");
  if (elsewhere.empty() && version.find("MariaDB") == version.npos) {
    elsewhere = trimmed(
        answer_to("SELECT FILE_NAME FROM information_schema.FILES WHERE FILE_NAME LIKE '/%' AND "
                  "LEFT(FILE_NAME, CHAR_LENGTH(@@datadir)) <> @@datadir LIMIT 1"));
  }
  const wire::Container built = target.container();
  const auto mount =
      std::find_if(built.mounts.begin(), built.mounts.end(),
                   [&](const wire::Mount& one) { return one.destination == place.destination; });
  if (elsewhere.empty() && mount != built.mounts.end()) {
    elsewhere = entry_elsewhere(on_host(place, mount->source));
  }
  if (!elsewhere.empty()) throw Error(ErrorKind::capture, words_for(elsewhere), by_hand);
  const auto dumped = string_member(target.manifest().facts, "version").value_or("");
  const std::string misfit = version_misfit(dumped, version);
  if (misfit.empty()) return;
  throw Error(ErrorKind::capture, misfit,
              "restore it with the image that was backed up, or by hand, with an upgrade");
}

bool has_databases(service::RestoreTarget& target) {
  const docker::ExecResult ping = target.run(ready(target.manifest().facts));
  if (ping.exit_code != 0) return false;
  const Reply reply = Caller(target).ask("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA");
  std::vector<std::string> present;
  for (const std::vector<std::string>& row : parse_rows(reply.out.value_or(""))) {
    present.push_back(row.front());
  }
  // Every server has `mysql`: where it does not show it, it took the client for somebody else.
  const bool let_in =
      reply.out && std::find(present.begin(), present.end(), "mysql") != present.end();
  if (!let_in) {
    if (reply.up || reply.out) {
      target.note(
          "the server is up, with the accounts of the dump, and lets nobody in whose password is "
          "known (MYSQL_PWD): its databases were counted before");
      return true;
    }
    return false;
  }
  const std::string missing = missing_database(target.record(), present);
  if (missing.empty()) return true;
  throw Error(ErrorKind::capture, fmt::format("the server has no database {}", missing));
}

}  // namespace bba::services::mariadb
