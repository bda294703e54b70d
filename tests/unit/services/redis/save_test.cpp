// A background save on a scripted engine: what is asked in which order, and what each answer
// leads to.
#include "services/redis/save.hpp"

#include <csignal>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"
#include "fake_engine.hpp"

using namespace bba;
using namespace bba::services::redis;
using bba::test::answer;
using bba::test::call;
using bba::test::FakeEngine;
using bba::test::frame;
using bba::test::Reply;
using bba::test::send;
using bba::test::stream_header;

namespace {

// What INFO says; times in seconds since 1970.
struct InfoText {
  bool in_progress = false;
  bool ok = true;
  std::int64_t last_save = 100;
  std::optional<int> saves = 1;
  int keys = 7;
  bool aof = false;
  bool loading = false;

  std::string text() const {
    std::string text = fmt::format(
        "redis_version:7.0.15\r\nrdb_bgsave_in_progress:{}\r\nrdb_last_save_time:{}\r\n"
        "rdb_last_bgsave_status:{}\r\ndb0:keys={},expires=1,avg_ttl=0\r\n",
        in_progress ? 1 : 0, last_save, ok ? "ok" : "err", keys);
    if (loading) text += "loading:1\r\n";
    if (aof) text += "aof_enabled:1\r\n";
    if (saves) text += fmt::format("rdb_saves:{}\r\n", *saves);
    return text;
  }
};

std::int64_t unix_now() {
  return now().time_since_epoch().count();
}

class NoteTaker : public Reporter {
 public:
  explicit NoteTaker(std::vector<std::string>& notes) : notes_(notes) {}
  void progress(const Progress&) override {}
  void progress_end() override {}
  void note(const std::string& text) override { notes_.push_back(text); }
  void detail(const std::string&) override {}
  void warning(const std::string&) override {}

 private:
  std::vector<std::string>& notes_;
};

// A server that gives these answers in turn, and repeats the last of them.
class Server {
 public:
  void says(const std::string& out, int exit_code = 0) {
    const std::string id = begin();
    fake.on("POST /exec/" + id + "/start", {call([this] { asked.push_back(unix_now()); }),
                                            send(stream_header), send(frame(1, out))});
    fake.on("GET /exec/" + id + "/json",
            {send(answer(200, fmt::format(R"({{"Running":false,"ExitCode":{}}})", exit_code)))});
  }
  void says(const InfoText& info) { says(info.text()); }
  // The exec is created, and starting it fails.
  void breaks(int status, const std::string& message) {
    fake.on("POST /exec/" + begin() + "/start",
            {send(answer(status, R"({"message":")" + message + R"("})"))});
  }
  void is_running(bool running) {
    fake.on("GET /containers/c1/json",
            {send(answer(200, fmt::format(R"({{"Id":"c1","Name":"/redis","State":{{"Status":"{}",)"
                                          R"("Running":{},"Paused":false}},"Config":{{}}}})",
                                          running ? "running" : "exited", running)))});
  }

  // Returns what the manifest then says of the keys; `written`: the RDB's own time.
  Json save() {
    notes.clear();
    Stop stop;
    if (stop_with) stop.request(*stop_with);
    docker::Engine engine(fake.socket_path(), {}, &stop);
    NoteTaker reporter(notes);
    const std::string container = "c1";
    const wire::ExecConfig client{.argv = {"redis-cli"}};
    const Asking asking{engine, reporter, stop, container, client};
    // The state that is kept while the parts are read.
    const Saved saved = parse_saved(saved_json(services::redis::save(asking)));
    return keyspace_of(asking, saved, Timestamp(std::chrono::seconds(written)));
  }

  // "INFO", "BGSAVE", ...
  std::vector<std::string> commands() const {
    std::vector<std::string> commands;
    for (const auto& request : fake.requests()) {
      if (!request.target.ends_with("/containers/c1/exec")) continue;
      const auto body = parse_json(request.body);
      std::vector<std::string> words = body->at("Cmd");
      words.erase(words.begin());
      commands.push_back(join(words, " "));
    }
    return commands;
  }

  FakeEngine fake;
  std::vector<std::int64_t> asked;  // when each program was started
  std::vector<std::string> notes;
  std::optional<int> stop_with;
  std::int64_t written = 0;

 private:
  std::string begin() {
    const std::string id = fmt::format("e{}", ++execs_);
    fake.on("POST /containers/c1/exec", {send(answer(201, R"({"Id":")" + id + R"("})"))});
    return id;
  }

  int execs_ = 0;
};

using Names = std::vector<std::string>;
constexpr const char* started = "Background saving started\n";

// Fails unless the save throws an Error that is not Refused.
Error failure_of(Server& server) {
  try {
    server.save();
  } catch (const service::Refused&) {
    FAIL("it was taken for a refusal");
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return {ErrorKind::internal, ""};
}

std::string refusal_of(Server& server) {
  try {
    server.save();
  } catch (const service::Refused& refused) {
    return refused.what();
  }
  FAIL("it was not refused");
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE(
    "redis save: it is requested once and waited for, and the keys before and after are recorded") {
  Server server;
  server.says(InfoText{});
  server.says(started);
  server.says(InfoText{.in_progress = true});
  server.says(InfoText{.last_save = unix_now() + 60, .saves = 2, .keys = 9});
  CHECK(server.save() == Json{{"db0",
                               {{"before", {{"keys", 7}, {"expires", 1}}},
                                {"after", {{"keys", 9}, {"expires", 1}}}}}});
  CHECK(server.commands() == Names{"INFO", "BGSAVE", "INFO", "INFO"});
}

TEST_CASE("redis save: the archived RDB may be newer than the save, and so are its keys then") {
  const std::int64_t done = unix_now() + 60;
  enum class Then { lives, dies, loads };
  const auto keys_after = [&](bool aof, std::int64_t written, Then then) {
    Server server;
    server.says(InfoText{.aof = aof});
    server.says(started);
    server.says(InfoText{.last_save = done, .saves = 2, .keys = 9, .aof = aof});
    if (then == Then::dies) {
      server.says("Could not connect to Redis at 127.0.0.1:6379: Connection refused\n", 1);
    } else {
      server.says(InfoText{
          .last_save = done, .saves = 2, .keys = 11, .aof = aof, .loading = then == Then::loads});
    }
    server.written = written;
    return server.save().at("db0").at("after").at("keys").get<int>();
  };
  CHECK(keys_after(false, done, Then::lives) == 9);
  CHECK(keys_after(false, done - 1, Then::lives) == 9);
  CHECK(keys_after(false, done + 1, Then::lives) == 11);
  CHECK(keys_after(true, done, Then::lives) == 11);
  CHECK(keys_after(true, done, Then::dies) == 9);
  CHECK(keys_after(true, done, Then::loads) == 9);
}

TEST_CASE("redis save: a save under way is waited for, then one of our own is requested") {
  Server server;
  server.says(InfoText{.in_progress = true});
  server.says("ERR Background save already in progress\n");
  server.says(InfoText{.in_progress = true});
  server.says(InfoText{.last_save = 200, .saves = 2, .keys = 8});
  server.says(InfoText{.last_save = 200, .saves = 2, .keys = 8});
  server.says(started);
  server.says(InfoText{.last_save = unix_now() + 60, .saves = 3});
  // Counted from the second on.
  CHECK(server.save().at("db0").at("before").at("keys") == 8);
  CHECK(server.commands() == Names{"INFO", "BGSAVE", "INFO", "INFO", "INFO", "BGSAVE", "INFO"});
  CHECK(server.notes == Names{"waiting for a save that was under way already"});
}

TEST_CASE("redis save: during a rewrite it is scheduled, and only its own end counts") {
  Server server;
  server.says(InfoText{.ok = false});
  server.says(
      "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
      "order to schedule a BGSAVE whenever possible.\n");
  server.says("Background saving scheduled\n");
  // Nothing has begun yet, and the last one had failed: no answer.
  server.says(InfoText{.ok = false});
  server.says(InfoText{.in_progress = true, .ok = false});
  SUBCASE("done") {
    server.says(InfoText{.last_save = unix_now() + 60, .saves = 2});
    server.save();
  }
  SUBCASE("failed") {
    server.says(InfoText{.ok = false});
    CHECK(has(failure_of(server).what(), "the server's background save failed"));
  }
  CHECK(server.commands() == Names{"INFO", "BGSAVE", "BGSAVE SCHEDULE", "INFO", "INFO", "INFO"});
}

TEST_CASE("redis save: before 7.0 it starts in a later second than the save before it") {
  Server server;
  const std::int64_t last = unix_now();
  server.says(InfoText{.last_save = last, .saves = {}});
  server.says(started);
  server.says(InfoText{.last_save = last, .saves = {}});
  server.says(InfoText{.last_save = last + 60, .saves = {}});
  server.save();
  REQUIRE(server.asked.size() == 4);
  CHECK(server.asked[1] > last);
}

TEST_CASE("redis save: before 7.0 it starts in a later second than a save that was under way") {
  Server server;
  const std::int64_t last = unix_now() + 1;
  server.says(InfoText{.in_progress = true, .saves = {}});
  server.says("ERR Background save already in progress\n");
  server.says(InfoText{.last_save = last, .saves = {}});
  server.says(InfoText{.last_save = last, .saves = {}, .keys = 8});
  server.says(started);
  server.says(InfoText{.in_progress = true, .last_save = last, .saves = {}});
  // It ended within the second in which it began.
  server.says(InfoText{.last_save = last + 1, .saves = {}});
  CHECK(server.save().at("db0").at("before").at("keys") == 8);
  REQUIRE(server.asked.size() == 7);
  CHECK(server.asked[4] > last);
}

TEST_CASE("redis save: an unknown command and an unreachable server count as a refusal") {
  Server no_command;
  no_command.says(InfoText{});
  no_command.says("ERR unknown command 'BGSAVE'\n");
  CHECK(refusal_of(no_command) == "refused: ERR unknown command 'BGSAVE'");

  Server no_server;
  no_server.says("Could not connect to Redis at 127.0.0.1:6379: Connection refused\n", 1);
  CHECK(has(refusal_of(no_server), "redis-cli ended with exit code 1: Could not connect"));

  Server other;
  other.says("+PONG");
  CHECK(refusal_of(other) == "INFO says nothing of background saves");
}

TEST_CASE("redis save: a rejected password or user is a failure") {
  Server no_password;
  no_password.says("NOAUTH Authentication required.\n");
  Server by_exit_code;
  by_exit_code.says("NOAUTH Authentication required.\n", 1);
  Server may_not_save;
  may_not_save.says(InfoText{});
  may_not_save.says("NOPERM User keeper has no permissions to run the 'bgsave' command\n");
  Server during_the_save;
  during_the_save.says(InfoText{});
  during_the_save.says(started);
  during_the_save.says("NOAUTH Authentication required.\n");
  during_the_save.is_running(true);
  for (Server* one : {&no_password, &by_exit_code, &may_not_save, &during_the_save}) {
    const Error error = failure_of(*one);
    CHECK(error.kind() == ErrorKind::capture);
    CHECK(has(error.what(), "the server does not let us save: "));
    CHECK(has(error.hint(), "set REDISCLI_AUTH"));
    CHECK(has(error.hint(), "--class E"));
  }
}

TEST_CASE("redis save: a save that fails is a failure") {
  Server server;
  server.says(InfoText{});
  server.says(started);
  server.says(InfoText{.ok = false});
  const Error error = failure_of(server);
  CHECK(error.kind() == ErrorKind::capture);
  CHECK(error.hint() == "see its log: often the disk is full, or its directory is not writable");
}

TEST_CASE("redis save: a server that is gone before the end is a failure, whoever says so") {
  Server client;
  client.says(InfoText{});
  client.says(started);
  client.says("Could not connect to Redis at 127.0.0.1:6379: Connection refused\n", 1);
  client.is_running(true);
  Server start;
  start.says(InfoText{});
  start.says(started);
  start.breaks(500, "Container c1 is not running: Exited (137) Less than a second ago");
  start.is_running(false);
  for (Server* one : {&client, &start}) {
    const Error error = failure_of(*one);
    CHECK(error.kind() == ErrorKind::capture);
    CHECK(has(error.what(), "the server went away during its save: "));
  }

  Server engine;
  engine.says(InfoText{});
  engine.says(started);
  engine.breaks(500, "the engine has trouble of its own");
  engine.is_running(true);
  const Error error = failure_of(engine);
  CHECK(error.kind() == ErrorKind::engine);
  CHECK(has(error.what(), "trouble of its own"));
}

TEST_CASE("redis save: a request to stop ends the wait") {
  Server server;
  server.stop_with = SIGTERM;
  server.says(InfoText{});
  CHECK(failure_of(server).kind() == ErrorKind::terminated);
}
