#include "e2e/redis.hpp"

#include <csignal>
#include <cstdio>

namespace e2e {

namespace {

constexpr const char* seed_script = R"lua(
redis.call('SELECT', 0)
for i = 1, 400 do redis.call('SET', 'string:' .. i, string.rep(tostring(i), 50)) end
redis.call('SET', 'not text \0\255\r\n', '\0\1\2\r\n')
for i = 1, 700 do
  redis.call('HSET', 'hash:' .. (i % 3), 'field' .. i, i)
  redis.call('RPUSH', 'list:' .. (i % 3), 'element' .. i)
  redis.call('SADD', 'set:' .. (i % 3), i)
  redis.call('SADD', 'set of text', 'member' .. i)
  redis.call('ZADD', 'sorted', i / 7, 'member' .. i)
  redis.call('XADD', 'stream', i .. '-1', 'n', i)
  redis.call('PFADD', 'count', i)
end
redis.call('XGROUP', 'CREATE', 'stream', 'readers', '0')
redis.call('SET', 'session', 'gone in a day', 'EX', 86400)
redis.call('SELECT', 3)
for i = 1, 20 do redis.call('SET', 'other:' .. i, i) end
for i = 1, 5 do redis.call('EXPIRE', 'other:' .. i, 86400) end
return 'seeded'
)lua";

constexpr const char* noise_script = R"lua(
for i = 1, tonumber(ARGV[1]) * 25 do redis.call('SET', redis.sha1hex(i), redis.sha1hex(-i)) end
return 'seeded'
)lua";

bool is_valkey(const RedisSetup& setup) {
  return setup.image.find("valkey") != setup.image.npos;
}

}  // namespace

RedisServer::RedisServer(E2eFixture& fixture, const std::string& what, RedisSetup setup)
    : setup_(std::move(setup)) {
  Strings arguments{"--enable-debug-command", "local", "--save", ""};
  arguments.insert(arguments.end(), setup_.arguments.begin(), setup_.arguments.end());
  Strings options = setup_.options;
  Strings command;
  if (setup_.shell.empty()) {
    command = {is_valkey(setup_) ? "valkey-server" : "redis-server"};
    command.insert(command.end(), arguments.begin(), arguments.end());
  } else {
    options.insert(options.end(), {"--env", "SERVER_OPTIONS=--enable-debug-command local"});
    command = {"sh", "-c", setup_.shell};
  }
  container_ = fixture.start(what, options, setup_.image, command);
  wait_until_ready();
}

Ended RedisServer::run_client(const Strings& command) const {
  Strings argv{"docker", "-H", host(), "exec"};
  if (!setup_.password.empty()) argv.insert(argv.end(), {"-e", "REDISCLI_AUTH=" + setup_.password});
  argv.insert(argv.end(), {container_, is_valkey(setup_) ? "valkey-cli" : "redis-cli"});
  argv.insert(argv.end(), command.begin(), command.end());
  return run(argv);
}

void RedisServer::wait_until_ready() const {
  wait_until("a server in " + container_, 60s,
             [&] { return trimmed(run_client({"PING"}).out) == "PONG"; });
}

std::string RedisServer::ask(const Strings& command) const {
  Strings options{"-e"};
  options.insert(options.end(), command.begin(), command.end());
  const Ended ended = run_client(options);
  if (ended.exit_code != 0) {
    throw std::runtime_error(fmt::format("{}: {}{}", join(command, " "), ended.out, ended.err));
  }
  return std::string(trimmed(ended.out));
}

void RedisServer::seed() const {
  ask({"EVAL", seed_script, "0"});
}

void RedisServer::seed_noise(int kibibytes) const {
  ask({"EVAL", noise_script, "0", std::to_string(kibibytes)});
}

std::string RedisServer::info(const std::string& field) const {
  const std::string all = ask({"INFO"});
  for (const std::string_view line : split(all, '\n')) {
    if (line.starts_with(field + ":")) {
      return std::string(trimmed(line.substr(field.size() + 1)));
    }
  }
  return {};
}

std::string RedisServer::digest() const {
  return ask({"DEBUG", "DIGEST"});
}

Json RedisServer::keyspace() const {
  Json keyspace = Json::object();
  const std::string all = ask({"INFO", "keyspace"});
  for (const std::string_view line : split(all, '\n')) {
    int database = 0;
    unsigned keys = 0;
    unsigned expires = 0;
    if (std::sscanf(std::string(line).c_str(), "db%d:keys=%u,expires=%u", &database, &keys,
                    &expires) == 3) {
      keyspace[fmt::format("db{}", database)] = {{"keys", keys}, {"expires", expires}};
    }
  }
  return keyspace;
}

void RedisServer::slow_saves(std::chrono::microseconds each_key) const {
  ask({"CONFIG", "SET", "rdb-key-save-delay", std::to_string(each_key.count())});
}

pid_t RedisServer::saver() const {
  const pid_t first = first_process_of(container_);
  const std::string file = fmt::format("/proc/{0}/task/{0}/children", first);
  std::string children;
  wait_until("a process that saves", 30s, [&] { return !(children = read_file(file)).empty(); });
  return static_cast<pid_t>(std::stol(children));
}

SuspendedSave::SuspendedSave(const RedisServer& server) : saver_(server.saver()) {
  if (::kill(saver_, SIGSTOP) != 0) throw std::runtime_error("no save to hold");
}

void SuspendedSave::resume() {
  if (saver_ > 0) ::kill(saver_, SIGCONT);
  saver_ = -1;
}

}  // namespace e2e
