#include "server.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/services/files.hpp"
#include "redis.hpp"

namespace bba::services::redis {

namespace {

// "name:value" lines of INFO.
std::optional<std::string_view> info_field(std::string_view out, std::string_view name) {
  for (std::string_view line : split(out, '\n')) {
    line = trimmed(line);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      return line.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

template <class Number>
std::optional<Number> number(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  Number value{};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

// The word after `option` in the command that the container was made with.
std::optional<std::string> command_value(const wire::Container& container,
                                         std::string_view option) {
  std::vector<std::string> words = container.entrypoint;
  words.insert(words.end(), container.cmd.begin(), container.cmd.end());
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == option && i + 1 < words.size()) return words[i + 1];
    // A whole command line in one word: sh -c "redis-server --requirepass x".
    const std::vector<std::string_view> inner = split(words[i], ' ');
    for (std::size_t j = 0; inner.size() > 1 && j + 1 < inner.size(); ++j) {
      if (inner[j] != option) continue;
      std::string_view value = inner[j + 1];
      if (value.size() > 1 && (value.front() == '"' || value.front() == '\'') &&
          value.back() == value.front()) {
        value = value.substr(1, value.size() - 2);
      }
      return std::string(value);
    }
  }
  return std::nullopt;
}

// The directory as an archive part, seen on the host through the mount that holds it, and a part
// for each data mount inside of it. The other mounts are not the server's data.
service::Capture directory_capture(const service::Target& target,
                                   std::vector<service::MountChoice> mounts,
                                   const std::vector<wire::ContainerSummary>& all,
                                   service::Consistency wanted, const std::string& directory) {
  service::Target narrowed = target;
  narrowed.settings.paths = {directory};
  service::narrow_to_paths(narrowed.settings.paths, mounts,
                           "not the server's directory, which is " + directory);
  service::Capture capture =
      files::mounted_archive(narrowed, mounts, all, wanted, directory_kind());
  capture.target.settings.paths = target.settings.paths;
  // A directory on no mount is written by this container alone.
  const bool listed = std::any_of(capture.quiesce.begin(), capture.quiesce.end(),
                                  [&](const auto& one) { return one.id == target.container.id; });
  if (wanted != service::Consistency::live && target.container.running && !listed) {
    capture.quiesce.insert(capture.quiesce.begin(), {target.container.id, target.container.name});
  }
  return capture;
}

// What the server writes before it renames it into place.
void leave_out_temporary(service::Capture& capture) {
  for (service::Part& part : capture.parts) {
    auto& archive = std::get<service::PathArchive>(part.what);
    archive.excludes.push_back(archive.path + "/temp-*.rdb");
    archive.excludes.push_back(archive.path + "/temp-rewriteaof-*.aof");
  }
}

// What the file check is told. `required_in`: the directory where the server has just written it;
// empty where that is not known. `stale`: the server goes on without having saved.
void look_for_rdb(service::Capture& capture, const std::string& name,
                  const std::string& required_in, bool stale) {
  for (service::Part& part : capture.parts) {
    auto& archive = std::get<service::PathArchive>(part.what);
    archive.expected = {{"rdb_file", name},
                        {"required", !required_in.empty() && archive.path == required_in},
                        {"stale", stale}};
  }
}

std::string rdb_name(const service::Target& target, const std::optional<std::string>& dbfilename) {
  if (dbfilename) return *dbfilename;
  return command_value(target.container, "--dbfilename").value_or("dump.rdb");
}

// What the operator named, else the server's own directory, else the mounted data, else the
// directory that the server was started in.
service::Capture data_archive(const service::Target& target,
                              const std::optional<std::string>& directory,
                              const std::vector<service::MountChoice>& mounts,
                              const std::vector<wire::ContainerSummary>& all,
                              service::Consistency wanted) {
  std::string narrowed = directory.value_or("");
  const bool has_data = std::any_of(mounts.begin(), mounts.end(),
                                    [](const service::MountChoice& one) { return one.taken; });
  if (!directory && !has_data) {
    narrowed =
        normal_path(command_value(target.container, "--dir").value_or(target.container.working_dir))
            .value_or("");
  }
  const bool narrow = target.settings.paths.empty() && narrowed.starts_with('/') && narrowed != "/";
  service::Capture capture =
      narrow ? directory_capture(target, mounts, all, wanted, narrowed)
             : files::mounted_archive(target, mounts, all, wanted, directory_kind());
  leave_out_temporary(capture);
  return capture;
}

// Why the directory to archive is not known; empty where it is.
std::string directory_unknown(const Facts& facts) {
  if (!facts.dir) return fmt::format("CONFIG GET is refused ({})", facts.config_refusal);
  if (!facts.dir->starts_with('/') || *facts.dir == "/") {
    return fmt::format("the server's directory is {}", *facts.dir);
  }
  return {};
}

}  // namespace

std::vector<std::string> password_variables() {
  return {"REDISCLI_AUTH", "REDIS_PASSWORD", "VALKEY_PASSWORD"};
}

std::optional<std::string> requirepass(const wire::Container& container) {
  return command_value(container, "--requirepass");
}

std::string append_file_name(const wire::Container& container) {
  return command_value(container, "--appendfilename").value_or("appendonly.aof");
}

std::vector<wire::ExecConfig> clients(const service::Target& target,
                                      const std::optional<std::string>& container_password) {
  std::vector<std::optional<std::string>> passwords;
  const auto add = [&](const std::optional<std::string>& password) {
    if (std::find(passwords.begin(), passwords.end(), password) == passwords.end()) {
      passwords.push_back(password);
    }
  };
  const std::vector<std::string> names = password_variables();
  std::vector<wire::EnvVar> others;
  for (const wire::EnvVar& variable : target.operator_env) {
    if (std::find(names.begin(), names.end(), variable.name) == names.end()) {
      others.push_back(variable);
    } else if (!variable.value.empty()) {
      add(variable.value);
    }
  }
  if (container_password) add(container_password);
  if (const auto password = requirepass(target.container)) add(password);
  add(std::nullopt);

  std::vector<wire::ExecConfig> all;
  for (const auto& password : passwords) {
    for (const char* program : {"redis-cli", "valkey-cli"}) {
      wire::ExecConfig client;
      client.argv = {program};
      if (const auto port = command_value(target.container, "--port")) {
        client.argv.insert(client.argv.end(), {"-p", *port});
      }
      if (target.settings.user) {
        client.argv.insert(client.argv.end(), {"--user", *target.settings.user});
      }
      client.env = others;
      if (password) client.env.push_back({"REDISCLI_AUTH", *password});
      all.push_back(std::move(client));
    }
  }
  return all;
}

wire::ExecConfig command(const wire::ExecConfig& client, const std::vector<std::string>& command) {
  wire::ExecConfig exec = client;
  exec.argv.insert(exec.argv.end(), command.begin(), command.end());
  return exec;
}

std::optional<std::string> error_reply(std::string_view out) {
  out = trimmed(out);
  if (out.starts_with("(error) ")) out.remove_prefix(8);
  constexpr std::array codes{"ERR ",     "NOAUTH ",     "WRONGPASS ", "NOPERM ",
                             "MISCONF ", "LOADING ",    "BUSY ",      "READONLY ",
                             "DENIED ",  "MASTERDOWN ", "OOM ",       "Could not connect to"};
  for (const std::string_view code : codes) {
    if (out.starts_with(code)) return std::string(out.substr(0, out.find('\n')));
  }
  return std::nullopt;
}

bool refuses_credentials(std::string_view words) {
  // Not only at the start: "AUTH failed: WRONGPASS ...".
  constexpr std::array codes{"NOAUTH", "WRONGPASS", "NOPERM"};
  return std::any_of(codes.begin(), codes.end(),
                     [&](std::string_view code) { return words.find(code) != words.npos; });
}

std::optional<Info> parse_info(std::string_view out) {
  Info info;
  const auto version = info_field(out, "redis_version");
  const auto in_progress = number<int>(info_field(out, "rdb_bgsave_in_progress"));
  const auto last_save = number<std::int64_t>(info_field(out, "rdb_last_save_time"));
  if (!version || !in_progress || !last_save) return std::nullopt;
  info.version = *version;
  if (const auto valkey = info_field(out, "valkey_version")) {
    info.version = fmt::format("{} (Valkey {})", *version, *valkey);
  }
  info.role = info_field(out, "role").value_or("");
  info.loading = info_field(out, "loading") == "1";
  info.aof_enabled = info_field(out, "aof_enabled") == "1";
  info.bgsave_in_progress = *in_progress != 0;
  info.bgsave_ok = info_field(out, "rdb_last_bgsave_status") == "ok";
  info.last_save_time = *last_save;
  info.rdb_saves = number<std::uint64_t>(info_field(out, "rdb_saves"));
  for (std::string_view line : split(out, '\n')) {
    // db0:keys=17,expires=0,avg_ttl=0
    line = trimmed(line);
    const std::size_t colon = line.find(':');
    if (!line.starts_with("db") || colon == line.npos) continue;
    const std::vector<std::string_view> values = split(line.substr(colon + 1), ',');
    const auto count = [&](std::string_view name) -> std::optional<std::uint64_t> {
      for (const std::string_view value : values) {
        if (value.starts_with(name)) return number<std::uint64_t>(value.substr(name.size()));
      }
      return std::nullopt;
    };
    const auto keys = count("keys=");
    if (!keys) continue;
    info.keyspace[std::string(line.substr(0, colon))] = {
        {"keys", *keys}, {"expires", count("expires=").value_or(0)}};
  }
  return info;
}

Json keyspace_around(const Info& before, const Info& after) {
  const Json none = {{"keys", 0}, {"expires", 0}};
  Json around = Json::object();
  for (const Info* moment : {&before, &after}) {
    for (const auto& [database, counts] : moment->keyspace.items()) {
      if (!around.contains(database)) around[database] = {{"before", none}, {"after", none}};
      around[database][moment == &before ? "before" : "after"] = counts;
    }
  }
  return around;
}

std::optional<std::string> parse_config_value(std::string_view out, std::string_view parameter) {
  const std::vector<std::string_view> lines = split(trimmed(out), '\n');
  if (lines.size() < 2 || trimmed(lines[0]) != parameter) return std::nullopt;
  return std::string(trimmed(lines[1]));
}

BgsaveReply parse_bgsave_reply(std::string_view out) {
  if (out.find("Background saving started") != out.npos) return BgsaveReply::started;
  if (out.find("Background saving scheduled") != out.npos) return BgsaveReply::scheduled;
  if (out.find("already in progress") != out.npos) return BgsaveReply::already_in_progress;
  if (out.find("BGSAVE SCHEDULE") != out.npos) return BgsaveReply::ask_to_schedule;
  return BgsaveReply::refused;
}

SaveState save_state(const Info& before, const Info& now, bool started, std::int64_t asked) {
  if (now.bgsave_in_progress) return SaveState::running;
  const bool counted = !now.rdb_saves || !before.rdb_saves || *now.rdb_saves > *before.rdb_saves;
  const bool dated = now.last_save_time >= asked &&
                     (now.rdb_saves.has_value() || now.last_save_time > before.last_save_time);
  if (now.bgsave_ok && counted && dated) return SaveState::done;
  // Not in progress and not counted: it has failed, unless it is still only scheduled.
  if (!now.bgsave_ok && (started || before.bgsave_ok)) return SaveState::failed;
  return SaveState::running;
}

service::Capture save_capture(const service::Target& target, const wire::ExecConfig& client,
                              const Facts& facts, const std::vector<service::MountChoice>& mounts,
                              const std::vector<wire::ContainerSummary>& all,
                              service::Consistency wanted) {
  const std::string unknown = directory_unknown(facts);
  const std::optional<std::string> directory = unknown.empty() ? facts.dir : std::nullopt;
  const bool automatic = wanted == service::Consistency::automatic;
  // Without an append-only file the RDB alone counts, and it is renamed into place: nothing need be
  // held still. Where the directory is not known, neither is what else is in it.
  const bool hold_still = facts.info.aof_enabled || !directory;
  const service::Consistency chosen =
      automatic ? (hold_still ? service::Consistency::pause : service::Consistency::live) : wanted;

  service::Capture capture = data_archive(target, directory, mounts, all, chosen);
  capture.strategy =
      directory ? "BGSAVE, then the data directory" : "BGSAVE, then the mounted data";
  if (automatic) {
    // The warning of live archives is about files that change in place; these do not.
    capture.warnings.clear();
    capture.consistency_reason =
        facts.info.aof_enabled ? "an append-only file must hold still while it is read"
        : hold_still           ? "files must hold still while they are read"
                               : "the RDB is renamed into place: a live copy of it is whole";
  }
  const std::string rdb = rdb_name(target, facts.dbfilename);
  look_for_rdb(capture, rdb, facts.dbfilename ? directory.value_or("") : "", false);
  if (!unknown.empty()) capture = service::as_fallback(std::move(capture), unknown);
  capture.procedure = client;
  capture.facts = {{"version", facts.info.version},
                   {"role", facts.info.role},
                   {"aof_enabled", facts.info.aof_enabled},
                   {"keyspace", facts.info.keyspace},
                   {"cli", client.argv},
                   {"environment", service::environment_names(client.env)}};
  if (facts.dir) capture.facts["dir"] = *facts.dir;
  if (facts.dbfilename) capture.facts["dbfilename"] = *facts.dbfilename;

  service::Capture otherwise = data_archive(target, directory, mounts, all,
                                            automatic ? service::Consistency::pause : wanted);
  look_for_rdb(otherwise, rdb, "", target.container.running);
  otherwise.facts = capture.facts;
  capture.if_refused = std::make_shared<const service::Capture>(std::move(otherwise));
  return capture;
}

service::Capture files_capture(const service::Target& target,
                               const std::vector<service::MountChoice>& mounts,
                               const std::vector<wire::ContainerSummary>& all,
                               service::Consistency wanted, const std::string& reason) {
  service::Capture capture = data_archive(target, std::nullopt, mounts, all, wanted);
  look_for_rdb(capture, rdb_name(target, std::nullopt), "", target.container.running);
  return service::as_fallback(std::move(capture), reason);
}

}  // namespace bba::services::redis
