// Redis and Valkey: BGSAVE, proven by the INFO fields, then the directory that the server
// names. Sources: the INFO, BGSAVE and CONFIG GET pages of the Redis documentation; redis/redis
// src/rdb.c, redis-cli.c.
#pragma once

#include "bba/service/mounts.hpp"

namespace bba::services::redis {

// The names of the container's variables that may hold the password, best first; each may have a
// _FILE twin.
std::vector<std::string> password_variables();
// The password after --requirepass in the container's command, if it is there.
std::optional<std::string> requirepass(const wire::Container& container);
// The name of its append-only file, as far as the container's command says it.
std::string append_file_name(const wire::Container& container);

// redis-cli and valkey-cli with each password worth trying, the operator's first. argv is without a
// command.
std::vector<wire::ExecConfig> clients(const service::Target& target,
                                      const std::optional<std::string>& container_password);
// `client` with a command.
wire::ExecConfig command(const wire::ExecConfig& client, const std::vector<std::string>& command);

// redis-cli exits 0 on error replies, so only its text shows them.
// The error in a reply ("NOAUTH Authentication required."), if it is one.
std::optional<std::string> error_reply(std::string_view out);
// Whether the client's words are that a password is missing or wrong, or its user may not do this:
// the server is up and refuses us, which does not justify falling back to its files.
bool refuses_credentials(std::string_view words);

struct Info {  // INFO
  std::string version;
  std::string role;
  bool loading = false;  // its keys are not all there yet
  bool aof_enabled = false;
  bool bgsave_in_progress = false;
  bool bgsave_ok = false;                  // rdb_last_bgsave_status
  std::int64_t last_save_time = 0;         // seconds since 1970
  std::optional<std::uint64_t> rdb_saves;  // 7.0 and later
  Json keyspace = Json::object();          // {"db0": {"keys": 17, "expires": 2}}
};
std::optional<Info> parse_info(std::string_view out);
// How many keys each database had at two moments: {"db0": {"before": {"keys": 17, "expires": 2},
// "after": ...}}. INFO does not list a database that is empty; here it has 0 keys.
Json keyspace_around(const Info& before, const Info& after);
// The value in the answer to CONFIG GET of one parameter.
std::optional<std::string> parse_config_value(std::string_view out, std::string_view parameter);

// What BGSAVE answered.
enum class BgsaveReply {
  started,
  scheduled,
  already_in_progress,  // wait for that one, then ask for one of our own
  ask_to_schedule,      // an append-only rewrite runs: BGSAVE SCHEDULE
  refused,
};
BgsaveReply parse_bgsave_reply(std::string_view out);

// Where a save that was asked for stands, from INFO before and now.
enum class SaveState { running, done, failed };
// `started`: the server said "started" rather than "scheduled". `asked` in seconds since 1970.
SaveState save_state(const Info& before, const Info& now, bool started, std::int64_t asked);

struct Facts {
  Info info;
  std::optional<std::string> dir;  // CONFIG GET dir; none where CONFIG is refused
  std::optional<std::string> dbfilename;
  std::string config_refusal = {};  // the server's words for that
};

// The capture for a server that answers `client`. Where the server does not say which directory is
// its own, its mounted data is archived instead: the capture's fallback says so.
service::Capture save_capture(const service::Target& target, const wire::ExecConfig& client,
                              const Facts& facts, const std::vector<service::MountChoice>& mounts,
                              const std::vector<wire::ContainerSummary>& all,
                              service::Consistency wanted);
// The capture where BGSAVE is not possible: the data directory, held still.
service::Capture files_capture(const service::Target& target,
                               const std::vector<service::MountChoice>& mounts,
                               const std::vector<wire::ContainerSummary>& all,
                               service::Consistency wanted, const std::string& reason);

}  // namespace bba::services::redis
