// Class B: what the server's answers mean, when a save is done, and what is archived then.
#include "services/redis/server.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "services/redis/redis.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::redis;
using test::names_of;
using test::summary;
using test::taken;
using test::volume;
using Names = std::vector<std::string>;

namespace {

const std::vector<service::MountChoice> mounts{taken(volume("v", "/data"))};
const std::vector<wire::ContainerSummary> all{summary("redis", {volume("v", "/data")})};

// As redis-cli prints it, with the line ends of the protocol.
std::string info_text(const std::string& persistence, const std::string& keyspace = {}) {
  return "# Server\r\nredis_version:7.0.15\r\n# Persistence\r\nloading:0\r\n" + persistence +
         "# Replication\r\nrole:master\r\n# Keyspace\r\n" + keyspace;
}

Info saved(std::optional<std::uint64_t> saves, std::int64_t last, bool in_progress = false,
           bool ok = true) {
  Info info;
  info.rdb_saves = saves;
  info.last_save_time = last;
  info.bgsave_in_progress = in_progress;
  info.bgsave_ok = ok;
  return info;
}

service::Target redis_target(std::vector<std::string> env = {}) {
  service::Target target = test::target("redis", 'B', std::move(env));
  target.container.working_dir = "/data";
  return target;
}

Facts facts_of(bool aof, const std::string& dir = "/data") {
  Facts facts;
  facts.info.version = "7.0.15";
  facts.info.role = "master";
  facts.info.aof_enabled = aof;
  facts.dir = dir;
  facts.dbfilename = "dump.rdb";
  return facts;
}

const service::PathArchive& archive_of(const service::Capture& capture) {
  REQUIRE(capture.parts.size() == 1);
  return std::get<service::PathArchive>(capture.parts[0].what);
}

// "redis-cli -p 7000 with secret"
Names shown(const std::vector<wire::ExecConfig>& clients) {
  Names lines;
  for (const wire::ExecConfig& client : clients) {
    std::string line = join(client.argv, " ");
    for (const wire::EnvVar& one : client.env) line += " " + one.name + "=" + one.value;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

TEST_CASE("redis: --requirepass is found as an argument and inside a shell's line") {
  const auto password = [](std::vector<std::string> cmd) {
    wire::Container container;
    container.cmd = std::move(cmd);
    return requirepass(container);
  };
  CHECK(password({"redis-server", "--requirepass", "a b"}) == "a b");
  CHECK(password({"sh", "-c", "exec redis-server --requirepass x --save ''"}) == "x");
  CHECK(password({"sh", "-c", "redis-server --requirepass 'x'"}) == "x");
  CHECK(password({"sh", "-c", "redis-server --requirepass \"x\""}) == "x");
  CHECK_FALSE(password({"redis-server", "--requirepass"}).has_value());
  CHECK_FALSE(password({"redis-server"}).has_value());
  CHECK_FALSE(password({}).has_value());
}

TEST_CASE("redis: each password is tried once, the operator's first, none last; never in argv") {
  service::Target target = redis_target();
  target.container.cmd = {"redis-server", "--requirepass", "command", "--port", "7000"};
  target.operator_env = {{"REDISCLI_AUTH", "operator"}, {"REDIS_PASSWORD", ""}, {"TERM", "dumb"}};
  CHECK(shown(clients(target, "container")) ==
        Names{"redis-cli -p 7000 TERM=dumb REDISCLI_AUTH=operator",
              "valkey-cli -p 7000 TERM=dumb REDISCLI_AUTH=operator",
              "redis-cli -p 7000 TERM=dumb REDISCLI_AUTH=container",
              "valkey-cli -p 7000 TERM=dumb REDISCLI_AUTH=container",
              "redis-cli -p 7000 TERM=dumb REDISCLI_AUTH=command",
              "valkey-cli -p 7000 TERM=dumb REDISCLI_AUTH=command", "redis-cli -p 7000 TERM=dumb",
              "valkey-cli -p 7000 TERM=dumb"});
  target.container.cmd = {"redis-server", "--requirepass", "one"};
  target.operator_env = {{"REDIS_PASSWORD", "one"}};
  target.settings.user = "keeper";
  CHECK(shown(clients(target, "one")) == Names{"redis-cli --user keeper REDISCLI_AUTH=one",
                                               "valkey-cli --user keeper REDISCLI_AUTH=one",
                                               "redis-cli --user keeper",
                                               "valkey-cli --user keeper"});
  const wire::ExecConfig asked =
      command(clients(redis_target(), std::nullopt)[0], {"CONFIG", "GET", "dir"});
  CHECK(asked.argv == Names{"redis-cli", "CONFIG", "GET", "dir"});
}

TEST_CASE("redis: an error is told from an answer by its first word") {
  CHECK(error_reply("NOAUTH Authentication required.\n\n") == "NOAUTH Authentication required.");
  CHECK(error_reply("(error) ERR unknown command\nmore") == "ERR unknown command");
  CHECK(error_reply("Could not connect to Redis at 127.0.0.1:6379: Connection refused"));
  CHECK_FALSE(error_reply("# Server\r\nredis_version:7.0.15\r\n").has_value());
  CHECK_FALSE(error_reply("").has_value());
  CHECK_FALSE(error_reply("ERRORS are fine").has_value());
}

TEST_CASE("redis: errors about a password or a user are told from all others") {
  CHECK(refuses_credentials("NOAUTH Authentication required.\n\n"));
  CHECK(
      refuses_credentials("AUTH failed: WRONGPASS invalid username-password pair or user is "
                          "disabled.\n"));
  CHECK(refuses_credentials("NOPERM this user has no permissions to run the 'info' command\n"));
  CHECK_FALSE(
      refuses_credentials("Could not connect to Redis at 127.0.0.1:6379: Connection refused"));
  CHECK_FALSE(refuses_credentials("ERR unknown command 'BGSAVE', with args beginning with: "));
  CHECK_FALSE(refuses_credentials(""));
}

TEST_CASE("redis: INFO is read, of old and new servers") {
  const auto info = parse_info(
      info_text("rdb_changes_since_last_save:3\r\nrdb_bgsave_in_progress:0\r\n"
                "rdb_last_save_time:1763899200\r\nrdb_last_bgsave_status:ok\r\nrdb_saves:4\r\n"
                "aof_enabled:1\r\n",
                "db0:keys=17,expires=2,avg_ttl=0\r\ndb12:keys=3\r\n"));
  REQUIRE(info);
  CHECK(info->version == "7.0.15");
  CHECK(info->role == "master");
  CHECK(info->aof_enabled);
  CHECK_FALSE(info->bgsave_in_progress);
  CHECK(info->bgsave_ok);
  CHECK(info->last_save_time == 1763899200);
  CHECK(info->rdb_saves == 4);
  CHECK(info->keyspace ==
        Json{{"db0", {{"keys", 17}, {"expires", 2}}}, {"db12", {{"keys", 3}, {"expires", 0}}}});

  const auto old = parse_info(info_text(
      "rdb_bgsave_in_progress:1\r\nrdb_last_save_time:7\r\nrdb_last_bgsave_status:err\r\n"));
  REQUIRE(old);
  CHECK(old->bgsave_in_progress);
  CHECK_FALSE(old->bgsave_ok);
  CHECK_FALSE(old->rdb_saves.has_value());
  CHECK_FALSE(old->aof_enabled);
  CHECK_FALSE(old->loading);
  CHECK(parse_info("redis_version:7\r\nloading:1\r\nrdb_bgsave_in_progress:0\r\n"
                   "rdb_last_save_time:7\r\n")
            ->loading);
  CHECK(old->keyspace == Json::object());

  const auto valkey = parse_info(
      "redis_version:7.2.4\r\nvalkey_version:8.1.1\r\nrdb_bgsave_in_progress:0\r\n"
      "rdb_last_save_time:7\r\n");
  REQUIRE(valkey);
  CHECK(valkey->version == "7.2.4 (Valkey 8.1.1)");
}

TEST_CASE("redis: what is not an INFO answer is not taken for one") {
  CHECK_FALSE(parse_info("").has_value());
  CHECK_FALSE(parse_info("NOAUTH Authentication required.").has_value());
  CHECK_FALSE(parse_info("redis_version:7.0.15\r\n").has_value());
  CHECK_FALSE(parse_info("redis_version:7\r\nrdb_bgsave_in_progress:x\r\nrdb_last_save_time:7\r\n")
                  .has_value());
  const auto odd = parse_info(
      "redis_version:7\r\nrdb_bgsave_in_progress:0\r\nrdb_last_save_time:7\r\ndb0\r\ndb1:\r\n"
      "db2:expires=1\r\ndb3:keys=many\r\n");
  REQUIRE(odd);
  CHECK(odd->keyspace == Json::object());
}

TEST_CASE("redis: the keys before and after a save, of databases that appear and vanish, too") {
  Info before;
  before.keyspace = {{"db0", {{"keys", 4}, {"expires", 1}}},
                     {"db1", {{"keys", 2}, {"expires", 0}}}};
  Info after;
  after.keyspace = {{"db0", {{"keys", 5}, {"expires", 1}}}, {"db9", {{"keys", 1}, {"expires", 1}}}};
  CHECK(
      keyspace_around(before, after) ==
      Json{
          {"db0",
           {{"before", {{"keys", 4}, {"expires", 1}}}, {"after", {{"keys", 5}, {"expires", 1}}}}},
          {"db1",
           {{"before", {{"keys", 2}, {"expires", 0}}}, {"after", {{"keys", 0}, {"expires", 0}}}}},
          {"db9",
           {{"before", {{"keys", 0}, {"expires", 0}}}, {"after", {{"keys", 1}, {"expires", 1}}}}}});
  CHECK(keyspace_around({}, {}) == Json::object());
}

TEST_CASE("redis: CONFIG GET is read") {
  CHECK(parse_config_value("dir\n/data\n", "dir") == "/data");
  CHECK(parse_config_value("dbfilename\ndump.rdb", "dbfilename") == "dump.rdb");
  CHECK_FALSE(parse_config_value("", "dir").has_value());
  CHECK_FALSE(parse_config_value("\n", "dir").has_value());
  CHECK_FALSE(parse_config_value("ERR unknown command 'CONFIG'\n\n", "dir").has_value());
  CHECK_FALSE(parse_config_value("NOPERM\nno permissions", "dir").has_value());
}

TEST_CASE("redis: the answer to BGSAVE is read") {
  CHECK(parse_bgsave_reply("Background saving started\n") == BgsaveReply::started);
  CHECK(parse_bgsave_reply("Background saving scheduled\n") == BgsaveReply::scheduled);
  CHECK(parse_bgsave_reply("ERR Background save already in progress") ==
        BgsaveReply::already_in_progress);
  CHECK(
      parse_bgsave_reply("ERR Another child process is active (AOF?): can't BGSAVE right now. Use "
                         "BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.") ==
      BgsaveReply::ask_to_schedule);
  CHECK(parse_bgsave_reply("ERR unknown command 'BGSAVE'") == BgsaveReply::refused);
  CHECK(parse_bgsave_reply("NOPERM this user has no permissions") == BgsaveReply::refused);
  CHECK(parse_bgsave_reply("") == BgsaveReply::refused);
}

TEST_CASE("redis: a save is done when it is counted, dated, good, and no longer under way") {
  const Info before = saved(3, 100);
  CHECK(save_state(before, saved(4, 110), true, 105) == SaveState::done);
  CHECK(save_state(before, saved(3, 100, true), true, 105) == SaveState::running);
  // Counted, and one more already under way.
  CHECK(save_state(before, saved(4, 110, true), true, 105) == SaveState::running);
  // Only scheduled: nothing is under way, and nothing has happened.
  CHECK(save_state(before, saved(3, 100), false, 105) == SaveState::running);
  CHECK(save_state(before, saved(3, 100, false, false), true, 105) == SaveState::failed);
  CHECK(save_state(before, saved(3, 100, false, false), false, 105) == SaveState::failed);
  // An earlier save has failed, and ours is only scheduled.
  const Info failed = saved(3, 100, false, false);
  CHECK(save_state(failed, failed, false, 105) == SaveState::running);
  CHECK(save_state(failed, failed, true, 105) == SaveState::failed);
  // Within the second in which it was asked for.
  CHECK(save_state(before, saved(4, 105), true, 105) == SaveState::done);
}

TEST_CASE("redis: before 7.0 the date alone tells one save from another") {
  const Info before = saved(std::nullopt, 100);
  CHECK(save_state(before, saved(std::nullopt, 110), true, 105) == SaveState::done);
  CHECK(save_state(before, saved(std::nullopt, 100), true, 100) == SaveState::running);
  CHECK(save_state(before, saved(std::nullopt, 104), true, 105) == SaveState::running);
}

TEST_CASE("redis: containers are paused only with an append-only file, and then all that write") {
  const wire::ExecConfig client{.argv = {"redis-cli"}};
  const service::Capture live = save_capture(redis_target(), client, facts_of(false), mounts, all,
                                             service::Consistency::automatic);
  CHECK(live.strategy == "BGSAVE, then the data directory");
  CHECK(live.consistency == service::Consistency::live);
  CHECK(live.quiesce.empty());
  CHECK(live.warnings.empty());
  CHECK_FALSE(live.fallback.has_value());
  REQUIRE(live.procedure);
  CHECK(live.procedure->argv == Names{"redis-cli"});
  CHECK(archive_of(live).path == "/data");
  CHECK(archive_of(live).host_path == "/volumes/v/_data");
  CHECK(archive_of(live).expected.at("rdb_file") == "dump.rdb");
  CHECK(archive_of(live).expected.at("required") == true);
  CHECK(archive_of(live).expected.at("stale") == false);
  CHECK(archive_of(live).excludes == Names{"/data/temp-*.rdb", "/data/temp-rewriteaof-*.aof"});

  const service::Capture paused = save_capture(redis_target(), client, facts_of(true), mounts, all,
                                               service::Consistency::automatic);
  CHECK(paused.consistency == service::Consistency::pause);
  CHECK(names_of(paused.quiesce) == Names{"redis"});
  CHECK(paused.consistency_reason.find("append-only") != std::string::npos);
  CHECK(paused.warnings.empty());

  // A consistency that was asked for is used.
  const service::Capture asked =
      save_capture(redis_target(), client, facts_of(true), mounts, all, service::Consistency::live);
  CHECK(asked.consistency == service::Consistency::live);
  CHECK(asked.warnings.size() == 1);
  CHECK(
      save_capture(redis_target(), client, facts_of(false), mounts, all, service::Consistency::stop)
          .consistency == service::Consistency::stop);
}

TEST_CASE("redis: the facts have the accepted client, and only the names of its variables") {
  const wire::ExecConfig client{.argv = {"valkey-cli", "-p", "7000"},
                                .env = {{"REDISCLI_AUTH", "secret"}}};
  const service::Capture capture = save_capture(redis_target(), client, facts_of(false), mounts,
                                                all, service::Consistency::live);
  CHECK(capture.facts.at("cli") == Json{"valkey-cli", "-p", "7000"});
  CHECK(capture.facts.at("environment") == Json::array({"REDISCLI_AUTH"}));
  CHECK(capture.parts[0].kind == &directory_kind());
}

TEST_CASE("redis: the plan has the requests around the parts, without their secrets") {
  const wire::ExecConfig client{.argv = {"redis-cli"}, .env = {{"REDISCLI_AUTH", "secret"}}};
  const service::Capture capture = save_capture(redis_target(), client, facts_of(false), mounts,
                                                all, service::Consistency::live);
  const std::string exec = "POST /containers/redis/exec with REDISCLI_AUTH: redis-cli ";
  CHECK(services::redis::redis().requests_before(capture) ==
        Names{exec + "INFO",
              exec + "BGSAVE (BGSAVE SCHEDULE where the append-only file is being rewritten)",
              exec + "INFO (until it says that the save is done)"});
  CHECK(services::redis::redis().requests_after(capture) ==
        Names{exec + "INFO (where what was read may be newer than the save)"});
  CHECK(services::redis::redis().requests_before(*capture.if_refused).empty());
  CHECK(services::redis::redis().requests_after(*capture.if_refused).empty());
}

TEST_CASE("redis: a server that refuses the save only when asked gets its files archived") {
  const service::Capture capture =
      save_capture(redis_target(), {.argv = {"redis-cli"}}, facts_of(false), mounts, all,
                   service::Consistency::automatic);
  REQUIRE(capture.if_refused);
  const service::Capture& otherwise = *capture.if_refused;
  CHECK(otherwise.strategy == "mounted data archive");
  CHECK(otherwise.consistency == service::Consistency::pause);
  CHECK(names_of(otherwise.quiesce) == Names{"redis"});
  CHECK_FALSE(otherwise.procedure.has_value());
  CHECK(archive_of(otherwise).expected.at("required") == false);
  CHECK(archive_of(otherwise).expected.at("stale") == true);
  CHECK(otherwise.warnings.empty());
  CHECK(otherwise.facts == capture.facts);
}

TEST_CASE("redis: the server's directory is a mount, below a mount, or not mounted") {
  const wire::ExecConfig client{.argv = {"redis-cli"}};
  const service::Capture below = save_capture(redis_target(), client, facts_of(true, "/data/cache"),
                                              mounts, all, service::Consistency::automatic);
  CHECK(archive_of(below).host_path == "/volumes/v/_data/cache");
  const service::Capture inside = save_capture(redis_target(), client, facts_of(true, "/srv"),
                                               mounts, {}, service::Consistency::automatic);
  CHECK(archive_of(inside).path == "/srv");
  CHECK(archive_of(inside).host_path.empty());
  // On no mount, so no other container writes there; the target is paused all the same.
  CHECK(names_of(inside.quiesce) == Names{"redis"});
  // The operator's paths come first.
  service::Target target = redis_target();
  target.settings.paths = {"/elsewhere"};
  const service::Capture named =
      save_capture(target, client, facts_of(false), mounts, all, service::Consistency::automatic);
  CHECK(archive_of(named).path == "/elsewhere");
}

TEST_CASE("redis: a mount inside the directory is a part, too; another one is not its data") {
  const std::vector<service::MountChoice> choices{taken(volume("v", "/data")),
                                                  taken(volume("aof", "/data/appendonlydir")),
                                                  taken(volume("etc", "/etc/redis"))};
  const std::vector<wire::ContainerSummary> everybody{
      summary("redis", {volume("v", "/data")}), summary("rewriter", {volume("aof", "/aof")}),
      summary("editor", {volume("etc", "/etc/redis")})};
  const service::Capture capture =
      save_capture(redis_target(), {.argv = {"redis-cli"}}, facts_of(true), choices, everybody,
                   service::Consistency::automatic);
  REQUIRE(capture.parts.size() == 2);
  const auto& data = std::get<service::PathArchive>(capture.parts[0].what);
  CHECK(data.path == "/data");
  CHECK(data.nested == Names{"/data/appendonlydir"});
  CHECK(data.expected.at("required") == true);
  const auto& inner = std::get<service::PathArchive>(capture.parts[1].what);
  CHECK(inner.path == "/data/appendonlydir");
  CHECK(inner.host_path == "/volumes/aof/_data");
  CHECK(inner.expected.at("required") == false);
  CHECK(names_of(capture.quiesce) == Names{"redis", "rewriter"});
  CHECK(capture.mounts[1].taken);
  CHECK_FALSE(capture.mounts[2].taken);
  CHECK(capture.mounts[2].why == "not the server's directory, which is /data");
}

TEST_CASE(
    "redis: where CONFIG is refused the mounted data is archived while paused, with a warning") {
  const wire::ExecConfig client{.argv = {"redis-cli"}};
  Facts facts = facts_of(false);
  facts.dir.reset();
  facts.dbfilename.reset();
  facts.config_refusal = "NOPERM no";
  const service::Capture capture =
      save_capture(redis_target(), client, facts, mounts, all, service::Consistency::automatic);
  CHECK(capture.strategy == "BGSAVE, then the mounted data");
  CHECK(capture.fallback == "CONFIG GET is refused (NOPERM no)");
  CHECK(capture.warnings == Names{"BGSAVE, then the mounted data instead of the class's own "
                                  "procedure: CONFIG GET is refused (NOPERM no)"});
  CHECK(capture.consistency == service::Consistency::pause);
  CHECK(capture.procedure.has_value());
  CHECK(archive_of(capture).expected.at("rdb_file") == "dump.rdb");
  CHECK(archive_of(capture).expected.at("required") == false);

  // No data mount: the directory that it was started in, or that its command names.
  service::Target target = redis_target();
  CHECK(archive_of(save_capture(target, client, facts, {}, {}, service::Consistency::automatic))
            .path == "/data");
  target.container.cmd = {"redis-server", "--dir", "/srv/cache", "--dbfilename", "cache.rdb"};
  const service::Capture told =
      save_capture(target, client, facts, {}, {}, service::Consistency::automatic);
  CHECK(archive_of(told).path == "/srv/cache");
  CHECK(archive_of(told).expected.at("rdb_file") == "cache.rdb");

  // The root of a file system is not a data directory.
  const service::Capture root = save_capture(redis_target(), client, facts_of(false, "/"), mounts,
                                             all, service::Consistency::automatic);
  CHECK(root.fallback == "the server's directory is /");
  CHECK(archive_of(root).path == "/data");
}

TEST_CASE("redis: files without a save are archived, and nothing to archive is an error") {
  const service::Capture capture =
      files_capture(redis_target(), mounts, all, service::Consistency::automatic, "no BGSAVE");
  CHECK(capture.strategy == "mounted data archive");
  CHECK(capture.fallback == "no BGSAVE");
  CHECK(capture.consistency == service::Consistency::pause);
  CHECK(names_of(capture.quiesce) == Names{"redis"});
  CHECK_FALSE(capture.procedure.has_value());
  CHECK(archive_of(capture).expected.at("required") == false);
  CHECK(archive_of(capture).expected.at("stale") == true);
  service::Target stopped = redis_target();
  stopped.container.running = false;
  CHECK(
      archive_of(files_capture(stopped, mounts, all, service::Consistency::automatic, "no BGSAVE"))
          .expected.at("stale") == false);
  service::Target nowhere = redis_target();
  nowhere.container.working_dir = "/";
  CHECK_THROWS_AS(files_capture(nowhere, {}, {}, service::Consistency::automatic, "no BGSAVE"),
                  Error);
}
