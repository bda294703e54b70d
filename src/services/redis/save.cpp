#include "save.hpp"

#include <chrono>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"

namespace bba::services::redis {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A save of a large dataset takes minutes; --timeout ends it earlier.
constexpr auto longest_save = 2h;
constexpr auto patience_in_silence = 3s;

// A server that refuses the credentials has keys that its files may not hold: an error, no Refused
// that falls back to the files.
[[noreturn]] void refuse(const std::string& words) {
  if (!refuses_credentials(words)) throw service::Refused(words);
  throw Error(ErrorKind::capture, "the server does not let us save: " + words,
              "set REDISCLI_AUTH to the password of a user that may INFO and BGSAVE; `--class E` "
              "takes the files as they are");
}

class Client {
 public:
  explicit Client(const Asking& asking) : asking_(asking) {}

  std::string ask(const std::vector<std::string>& arguments) {
    const docker::ExecResult result =
        docker::run_or_end(asking_.engine, asking_.container, command(asking_.client, arguments));
    if (result.exit_code != 0) {
      refuse(fmt::format("{} ended with exit code {}: {}", asking_.client.argv.front(),
                         result.exit_code, trimmed(result.err.empty() ? result.out : result.err)));
    }
    return result.out;
  }

  Info info() {
    const std::string out = ask({"INFO"});
    if (const auto error = error_reply(out)) refuse(*error);
    const auto info = parse_info(out);
    if (!info) throw service::Refused("INFO says nothing of background saves");
    return *info;
  }

 private:
  const Asking& asking_;
};

std::int64_t unix_now() {
  return now().time_since_epoch().count();
}

// The server has accepted the save: whatever it says from now on is not a refusal.
Info info_during_save(const Asking& asking, Client& client) {
  try {
    return client.info();
  } catch (const Error& error) {
    // Each step of an exec fails in its own way where the container has just died.
    const bool about_container = error.kind() == ErrorKind::capture ||
                                 error.kind() == ErrorKind::engine ||
                                 error.kind() == ErrorKind::container;
    if (!about_container) throw;
    const bool refused = dynamic_cast<const service::Refused*>(&error) != nullptr;
    if (!refused && asking.engine.inspect(asking.container).running) throw;
    throw Error(ErrorKind::capture,
                fmt::format("the server went away during its save: {}", error.what()),
                "see its log");
  }
}

void wait_a_little(const Asking& asking, Clock::time_point deadline) {
  asking.stop.throw_if_requested();
  if (Clock::now() > deadline) {
    throw Error(ErrorKind::timeout, "BGSAVE was not done in time");
  }
  std::this_thread::sleep_for(100ms);
}

}  // namespace

Saved save(const Asking& asking) {
  Client client(asking);
  const auto deadline = Clock::now() + longest_save;
  Info before = client.info();
  std::int64_t asked = 0;
  bool started = false;
  std::vector<std::string> command{"BGSAVE"};
  for (;;) {
    // Before 7.0 only LASTSAVE tells one save from another, in whole seconds: begin in a new one.
    while (!before.rdb_saves && unix_now() <= before.last_save_time) {
      wait_a_little(asking, deadline);
    }
    asked = unix_now();
    const std::string reply = client.ask(command);
    const BgsaveReply meaning = parse_bgsave_reply(reply);
    if (meaning == BgsaveReply::refused) {
      refuse("refused: " + std::string(trimmed(reply)));
    }
    if (meaning == BgsaveReply::already_in_progress) {
      // That one began before we asked: what has changed since may not be in it.
      asking.reporter.note("waiting for a save that was under way already");
      while (client.info().bgsave_in_progress) wait_a_little(asking, deadline);
      before = client.info();
      continue;
    }
    if (meaning == BgsaveReply::ask_to_schedule) {
      command = {"BGSAVE", "SCHEDULE"};
      continue;
    }
    started = meaning == BgsaveReply::started;
    break;
  }

  const auto told = Clock::now() + patience_in_silence;
  bool tell = true;
  for (;;) {
    if (tell && Clock::now() > told) {
      asking.reporter.note("waiting for the save to finish");
      tell = false;
    }
    const Info now = info_during_save(asking, client);
    // A scheduled save that has begun is a started one.
    started = started || now.bgsave_in_progress;
    const SaveState state = save_state(before, now, started, asked);
    if (state == SaveState::done) return {before, now};
    if (state == SaveState::failed) {
      throw Error(ErrorKind::capture, "the server's background save failed",
                  "see its log: often the disk is full, or its directory is not writable");
    }
    wait_a_little(asking, deadline);
  }
}

Json saved_json(const Saved& saved) {
  return {{"keyspace_before", saved.before.keyspace},
          {"keyspace_after", saved.after.keyspace},
          {"aof_enabled", saved.after.aof_enabled},
          {"last_save_time", saved.after.last_save_time}};
}

Saved parse_saved(const Json& json) {
  Saved saved;
  saved.before.keyspace = json.at("keyspace_before");
  saved.after.keyspace = json.at("keyspace_after");
  saved.after.aof_enabled = json.at("aof_enabled").get<bool>();
  saved.after.last_save_time = json.at("last_save_time").get<std::int64_t>();
  return saved;
}

Json keyspace_of(const Asking& asking, const Saved& saved, Timestamp written) {
  Info after = saved.after;
  if (after.aof_enabled || written.time_since_epoch().count() > after.last_save_time) {
    try {
      const Info now = Client(asking).info();
      // A server that was stopped for the archive may still be loading.
      if (!now.loading) after = now;
    } catch (const Error&) {
      // The archive is whole even if the server cannot be asked any more.
      asking.stop.throw_if_requested();
    }
  }
  return keyspace_around(saved.before, after);
}

}  // namespace bba::services::redis
