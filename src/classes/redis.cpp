#include "bba/classes/redis.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "bba/base/text.hpp"
#include "bba/classes/archive.hpp"

namespace bba::classes {

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

// The directory as an archive part, seen on the host through the mount that holds it.
Capture directory_capture(const Target& target, const std::vector<MountChoice>& mounts,
                          const std::vector<wire::ContainerSummary>& all, Consistency wanted,
                          const std::string& directory) {
  Target narrowed = target;
  narrowed.settings.paths = {directory};
  Capture capture = mounted_archive(narrowed, mounts, all, wanted);
  capture.target.settings.paths = target.settings.paths;
  // A directory on no mount is written by this container alone.
  const bool listed = std::any_of(capture.quiesce.begin(), capture.quiesce.end(),
                                  [&](const auto& one) { return one.id == target.container.id; });
  if (wanted != Consistency::live && target.container.running && !listed) {
    capture.quiesce.insert(capture.quiesce.begin(), {target.container.id, target.container.name});
  }
  return capture;
}

void leave_out_temporary(Capture& capture, const std::string& rdb_file, bool required) {
  for (Part& part : capture.parts) {
    auto& archive = std::get<PathArchive>(part.what);
    archive.excludes.push_back(archive.path + "/temp-*.rdb");
    archive.rdb_file = rdb_file;
    archive.rdb_required = required;
  }
}

}  // namespace

std::vector<std::string> redis_password_variables() {
  return {"REDISCLI_AUTH", "REDIS_PASSWORD", "VALKEY_PASSWORD"};
}

std::optional<std::string> redis_requirepass(const wire::Container& container) {
  return command_value(container, "--requirepass");
}

std::vector<wire::ExecConfig> redis_clients(const Target& target,
                                            const std::optional<std::string>& container_password) {
  std::vector<std::optional<std::string>> passwords;
  const auto add = [&](const std::optional<std::string>& password) {
    if (std::find(passwords.begin(), passwords.end(), password) == passwords.end()) {
      passwords.push_back(password);
    }
  };
  for (const wire::EnvVar& variable : target.operator_env) {
    if (variable.name == "REDISCLI_AUTH") add(variable.value);
  }
  if (container_password) add(container_password);
  if (const auto password = redis_requirepass(target.container)) add(password);
  add(std::nullopt);

  std::vector<wire::ExecConfig> clients;
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
      if (password) client.env = {{"REDISCLI_AUTH", *password}};
      clients.push_back(std::move(client));
    }
  }
  return clients;
}

wire::ExecConfig redis_command(const wire::ExecConfig& client,
                               const std::vector<std::string>& command) {
  wire::ExecConfig exec = client;
  exec.argv.insert(exec.argv.end(), command.begin(), command.end());
  return exec;
}

std::optional<std::string> redis_error(std::string_view out) {
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

std::optional<RedisInfo> parse_redis_info(std::string_view out) {
  RedisInfo info;
  const auto version = info_field(out, "redis_version");
  const auto in_progress = number<int>(info_field(out, "rdb_bgsave_in_progress"));
  const auto last_save = number<std::int64_t>(info_field(out, "rdb_last_save_time"));
  if (!version || !in_progress || !last_save) return std::nullopt;
  info.version = *version;
  if (const auto valkey = info_field(out, "valkey_version")) {
    info.version = fmt::format("{} (Valkey {})", *version, *valkey);
  }
  info.role = info_field(out, "role").value_or("");
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

Json keyspace_around(const RedisInfo& before, const RedisInfo& after) {
  const Json none = {{"keys", 0}, {"expires", 0}};
  Json around = Json::object();
  for (const RedisInfo* moment : {&before, &after}) {
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

SaveState save_state(const RedisInfo& before, const RedisInfo& now, bool started,
                     std::int64_t asked) {
  if (now.bgsave_in_progress) return SaveState::running;
  const bool counted = !now.rdb_saves || !before.rdb_saves || *now.rdb_saves > *before.rdb_saves;
  const bool dated = now.last_save_time >= asked &&
                     (now.rdb_saves.has_value() || now.last_save_time > before.last_save_time);
  if (now.bgsave_ok && counted && dated) return SaveState::done;
  // Not in progress and not counted: it has failed, unless it is still only scheduled.
  if (!now.bgsave_ok && (started || before.bgsave_ok)) return SaveState::failed;
  return SaveState::running;
}

Capture redis_dump(const Target& target, const wire::ExecConfig& client, const RedisFacts& facts,
                   const std::vector<MountChoice>& mounts,
                   const std::vector<wire::ContainerSummary>& all, Consistency wanted) {
  // Without an append-only file the RDB alone counts, and it is renamed into place: nothing need be
  // held still.
  const Consistency chosen = wanted == Consistency::automatic
                                 ? (facts.info.aof_enabled ? Consistency::pause : Consistency::live)
                                 : wanted;
  Capture capture;
  const bool knows_directory = facts.dir && facts.dir->starts_with('/');
  if (knows_directory) {
    capture = directory_capture(target, mounts, all, chosen, *facts.dir);
  } else {
    capture = redis_files(target, mounts, all, chosen, "");
    capture.fallback.reset();
    capture.warnings.clear();
    capture.warnings.push_back(
        "CONFIG is refused: the data mounts are archived, and which file is the RDB is not known");
  }
  capture.strategy = "BGSAVE, then the data directory";
  // The warning of live archives is about files that change in place; these do not.
  if (chosen == Consistency::live && wanted == Consistency::automatic) capture.warnings.clear();
  if (wanted == Consistency::automatic) {
    capture.consistency_reason = facts.info.aof_enabled
                                     ? "an append-only file must hold still while it is read"
                                     : "the RDB is renamed into place: a live copy of it is whole";
  }
  leave_out_temporary(capture, facts.dbfilename.value_or("dump.rdb"),
                      knows_directory && facts.dbfilename.has_value());
  capture.save_first = RedisSave{client};
  capture.facts = {{"version", facts.info.version},
                   {"role", facts.info.role},
                   {"aof_enabled", facts.info.aof_enabled},
                   {"keyspace", facts.info.keyspace}};
  if (facts.dir) capture.facts["dir"] = *facts.dir;
  if (facts.dbfilename) capture.facts["dbfilename"] = *facts.dbfilename;

  const Consistency held = wanted == Consistency::automatic ? Consistency::pause : wanted;
  Capture otherwise = knows_directory ? directory_capture(target, mounts, all, held, *facts.dir)
                                      : redis_files(target, mounts, all, held, "");
  otherwise.fallback.reset();
  otherwise.warnings.clear();
  leave_out_temporary(otherwise, facts.dbfilename.value_or("dump.rdb"), false);
  otherwise.facts = capture.facts;
  capture.if_refused = std::make_shared<const Capture>(std::move(otherwise));
  return capture;
}

Capture redis_files(const Target& target, const std::vector<MountChoice>& mounts,
                    const std::vector<wire::ContainerSummary>& all, Consistency wanted,
                    const std::string& reason) {
  const bool has_data =
      !target.settings.paths.empty() ||
      std::any_of(mounts.begin(), mounts.end(), [](const MountChoice& one) { return one.taken; });
  const std::string& working_dir = target.container.working_dir;
  Capture capture = has_data || !working_dir.starts_with('/') || working_dir == "/"
                        ? mounted_archive(target, mounts, all, wanted)
                        : directory_capture(target, mounts, all, wanted, working_dir);
  leave_out_temporary(capture, "dump.rdb", false);
  return as_fallback(std::move(capture), reason);
}

}  // namespace bba::classes
