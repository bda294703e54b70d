#include "save.hpp"

#include <chrono>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"

namespace bba::ops {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A save of a large dataset takes minutes; --timeout ends it earlier.
constexpr auto longest_save = 2h;
constexpr auto patience_in_silence = 3s;

// A server that does not let us in has keys that its files may not hold: no refusal to be content
// with.
[[noreturn]] void refuse(const std::string& words) {
  if (!classes::refuses_credentials(words)) throw Refused(words);
  throw Error(ErrorKind::capture, "the server does not let us save: " + words,
              "set REDISCLI_AUTH to the password of a user that may INFO and BGSAVE; `--class E` "
              "takes the files as they are");
}

class Client {
 public:
  Client(Session& session, const std::string& container, const classes::RedisSave& save)
      : session_(session), container_(container), save_(save) {}

  std::string ask(const std::vector<std::string>& command) {
    const docker::ExecResult result =
        run_or_end(session_.engine, container_, classes::redis_command(save_.cli, command));
    if (result.exit_code != 0) {
      refuse(fmt::format("{} ended with exit code {}: {}", save_.cli.argv.front(), result.exit_code,
                         trimmed(result.err.empty() ? result.out : result.err)));
    }
    return result.out;
  }

  classes::RedisInfo info() {
    const std::string out = ask({"INFO"});
    if (const auto error = classes::redis_error(out)) refuse(*error);
    const auto info = classes::parse_redis_info(out);
    if (!info) throw Refused("INFO does not tell of background saves");
    return *info;
  }

 private:
  Session& session_;
  const std::string& container_;
  const classes::RedisSave& save_;
};

std::int64_t unix_now() {
  return now().time_since_epoch().count();
}

// The server has said yes to the save: whatever it says from now on is no refusal.
classes::RedisInfo info_during_save(Session& session, const std::string& container,
                                    Client& client) {
  try {
    return client.info();
  } catch (const Error& error) {
    // Each step of an exec has its own words for a container that has just died.
    const bool about_container = error.kind() == ErrorKind::capture ||
                                 error.kind() == ErrorKind::engine ||
                                 error.kind() == ErrorKind::container;
    if (!about_container) throw;
    const bool refused = dynamic_cast<const Refused*>(&error) != nullptr;
    if (!refused && session.engine.inspect(container).running) throw;
    throw Error(ErrorKind::capture,
                fmt::format("the server went away during its save: {}", error.what()),
                "see its log");
  }
}

void wait_a_little(const Session& session, Clock::time_point deadline) {
  session.stop.throw_if_requested();
  if (Clock::now() > deadline) {
    throw Error(ErrorKind::timeout, "BGSAVE was not done in time");
  }
  std::this_thread::sleep_for(100ms);
}

}  // namespace

RedisSaved save_redis(Session& session, const std::string& container,
                      const classes::RedisSave& save) {
  Client client(session, container, save);
  const auto deadline = Clock::now() + longest_save;
  classes::RedisInfo before = client.info();
  std::int64_t asked = 0;
  bool started = false;
  std::vector<std::string> command{"BGSAVE"};
  for (;;) {
    // Before 7.0 only LASTSAVE tells one save from another, in whole seconds: begin in a new one.
    while (!before.rdb_saves && unix_now() <= before.last_save_time) {
      wait_a_little(session, deadline);
    }
    asked = unix_now();
    const std::string reply = client.ask(command);
    const classes::BgsaveReply meaning = classes::parse_bgsave_reply(reply);
    if (meaning == classes::BgsaveReply::refused) {
      refuse("refused: " + std::string(trimmed(reply)));
    }
    if (meaning == classes::BgsaveReply::already_in_progress) {
      // That one began before we asked: what has changed since may not be in it.
      session.reporter.note("waiting for a save that was under way already");
      while (client.info().bgsave_in_progress) wait_a_little(session, deadline);
      before = client.info();
      continue;
    }
    if (meaning == classes::BgsaveReply::ask_to_schedule) {
      command = {"BGSAVE", "SCHEDULE"};
      continue;
    }
    started = meaning == classes::BgsaveReply::started;
    break;
  }

  const auto told = Clock::now() + patience_in_silence;
  bool tell = true;
  for (;;) {
    if (tell && Clock::now() > told) {
      session.reporter.note("waiting for the server to have saved");
      tell = false;
    }
    const classes::RedisInfo now = info_during_save(session, container, client);
    // A scheduled save that has begun is a started one.
    started = started || now.bgsave_in_progress;
    const classes::SaveState state = classes::save_state(before, now, started, asked);
    if (state == classes::SaveState::done) return {before, now};
    if (state == classes::SaveState::failed) {
      throw Error(ErrorKind::capture, "the server's background save failed",
                  "see its log: often the disk is full, or its directory is not writable");
    }
    wait_a_little(session, deadline);
  }
}

Json keyspace_of(Session& session, const std::string& container, const classes::RedisSave& save,
                 const RedisSaved& saved, Timestamp written) {
  classes::RedisInfo after = saved.after;
  if (after.aof_enabled || written.time_since_epoch().count() > after.last_save_time) {
    try {
      const classes::RedisInfo now = Client(session, container, save).info();
      // One that was stopped for the archive has only just begun again.
      if (!now.loading) after = now;
    } catch (const Error&) {
      // Whole it is, whether or not the server still lives to be asked.
      session.stop.throw_if_requested();
    }
  }
  return classes::keyspace_around(saved.before, after);
}

}  // namespace bba::ops
