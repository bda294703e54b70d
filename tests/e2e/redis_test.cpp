// Class B on real servers, Redis and Valkey: saves that are proven and restore, what is done where
// the server does not save, and every way in which a backup fails.
#include "e2e/redis.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <unistd.h>

using namespace e2e;

namespace {

const std::string secret(redis_password);
const std::string no_data = "neither an RDB nor an append-only file";
const Strings with_append_only{"--appendonly", "yes"};
// Large enough that reading it takes much longer than reacting to a signal.
constexpr std::uint64_t large = 512 << 20;

RedisSetup with_password() {
  RedisSetup setup;
  setup.arguments = {"--requirepass", secret};
  setup.password = secret;
  return setup;
}

RedisSetup with_arguments(const Strings& arguments) {
  RedisSetup setup;
  setup.arguments = arguments;
  return setup;
}

Setting with_environment(const std::map<std::string, std::string>& environment) {
  Setting setting;
  setting.environment = environment;
  return setting;
}

const Json& artifact_of(const Json& manifest) {
  return manifest.at("artifacts").at(0);
}

Strings entries_of(const E2eFixture& fixture, const Json& manifest) {
  const std::string file =
      fixture.backups() + "/" + artifact_of(manifest).at("file").get<std::string>();
  const Ended listing = run({"tar", "-tzf", file});
  REQUIRE(listing.exit_code == 0);
  Strings entries;
  for (const std::string_view line : split(trimmed(listing.out), '\n')) entries.emplace_back(line);
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool holds(const Strings& entries, const std::string& entry) {
  return std::find(entries.begin(), entries.end(), entry) != entries.end();
}

// The keys of a server that nobody writes to.
void check_keyspace(const Json& manifest, const Json& keyspace) {
  const Json& found = artifact_of(manifest).at("found").at("keyspace");
  CHECK(found.size() == keyspace.size());
  for (const auto& one : keyspace.items()) {
    INFO(one.key());
    CHECK(found.at(one.key()) == Json{{"before", one.value()}, {"after", one.value()}});
  }
}

// The password is in nothing that a run has printed or written, but for the container's own
// configuration, which is the owner's alone.
void check_keeps_secret(const E2eFixture& fixture, const Ended& ended) {
  CHECK_FALSE(has(ended.out, secret));
  CHECK_FALSE(has(ended.err, secret));
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".json") && !name.ends_with(".container.json")) {
      CHECK_FALSE(has(read_file(fixture.backups() + "/" + name), secret));
    }
  }
}

// A backup of what the server saved on request. The server keeps running.
Json check_saved(const E2eFixture& fixture, const RedisServer& server, const Strings& options = {},
                 const Setting& setting = {}) {
  const std::string life = life_of(server.container());
  const Json keyspace = server.keyspace();
  REQUIRE_FALSE(keyspace.empty());
  Strings arguments{"backup", server.container()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Ended ended = fixture.bba(arguments, setting);
  INFO(ended.err);
  REQUIRE(ended.exit_code == (fixture.manifest().at("fallback").is_null() ? 0 : 11));
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.journals() == Strings{});
  check_keeps_secret(fixture, ended);

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "B");
  REQUIRE(manifest.at("artifacts").size() == 1);
  CHECK(artifact_of(manifest).at("kind") == "rdb-directory");
  check_keyspace(manifest, keyspace);
  CHECK(fixture.bba({"verify", server.container()}).exit_code == 0);
  return manifest;
}

// The same, without a fallback and without pausing a container.
Json check_saved_live(const E2eFixture& fixture, const RedisServer& server,
                      const Strings& options = {}, const Setting& setting = {}) {
  Json manifest = check_saved(fixture, server, options, setting);
  CHECK(manifest.at("strategy") == "BGSAVE, then the data directory");
  CHECK(manifest.at("fallback").is_null());
  CHECK(manifest.at("consistency") == Json{{"mode", "live"}, {"paused", Json::array()}});
  CHECK(manifest.at("warnings") == Json::array());
  return manifest;
}

// Restores into a second server as the manifest says, which then has the same keys.
void check_restores(E2eFixture& fixture, const RedisServer& server,
                    std::map<std::string, std::string> environment = {}) {
  const RedisServer second(fixture, "second", server.setup());
  REQUIRE(second.keyspace().empty());
  // The target is asked whether it keeps an append-only file.
  if (!server.setup().password.empty()) environment["REDISCLI_AUTH"] = server.setup().password;
  const Ended restored = fixture.restore_by_hand(second.container(), environment);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  second.wait_until_ready();
  CHECK(second.keyspace() == server.keyspace());
  CHECK(second.digest() == server.digest());
}

// A backup without a save: the files while paused, and the reason in the manifest and on stderr.
Json check_files(const E2eFixture& fixture, const std::string& container, const Strings& reason,
                 const Setting& setting = {}) {
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"backup", container}, setting);
  INFO(ended.err);
  REQUIRE(ended.exit_code == 11);
  CHECK(life_of(container) == life);
  CHECK(fixture.journals() == Strings{});
  check_keeps_secret(fixture, ended);

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "B");
  CHECK(manifest.at("strategy") == "mounted data archive");
  REQUIRE(manifest.at("fallback").is_string());
  const std::string fallback = manifest.at("fallback");
  for (const std::string& part : reason) {
    CAPTURE(part);
    CHECK(has(fallback, part));
  }
  const std::string warning =
      "mounted data archive instead of the class's own procedure: " + fallback;
  CHECK(has(dump_json(manifest.at("warnings")), dump_json(warning)));
  // The reason is printed once, when it is found.
  const std::size_t said = ended.err.find(warning);
  REQUIRE(said != ended.err.npos);
  CHECK(ended.err.find(warning, said + 1) == ended.err.npos);
  CHECK_FALSE(artifact_of(manifest).at("found").contains("keyspace"));
  CHECK(fixture.bba({"verify", container}).exit_code == 0);
  return manifest;
}

void check_was_paused(const Json& manifest, const Strings& containers) {
  CHECK(manifest.at("consistency").at("mode") == "pause");
  Strings names;
  for (const Json& one : manifest.at("consistency").at("paused")) {
    names.push_back(one.at("name").get<std::string>());
  }
  CHECK(names == containers);
}

void check_fails(const E2eFixture& fixture, const Ended& ended, int exit_code,
                 const Strings& said) {
  INFO(ended.err);
  CHECK(ended.exit_code == exit_code);
  CHECK(ended.out.empty());
  for (const std::string& part : said) {
    CAPTURE(part);
    CHECK(has(ended.err, part));
  }
  check_keeps_secret(fixture, ended);
  fixture.check_nothing_left();
}

std::string data_of(const std::string& container) {
  return docker({"inspect", "--format",
                 R"({{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}})",
                 container});
}

// A server whose save takes longer than any case.
RedisServer busy_server(E2eFixture& fixture, const RedisSetup& setup = {}) {
  RedisServer server(fixture, "redis", setup);
  server.seed();
  server.slow_saves(100ms);
  return server;
}

// An append-only server whose archive takes a while, caught while the engine reads.
struct Half {
  explicit Half(E2eFixture& fixture) : server(fixture, "redis", with_arguments(with_append_only)) {
    server.seed();
    const std::string file = data_of(server.container()) + "/large.bin";
    write_file(file, "");
    std::filesystem::resize_file(file, large);
    life = life_of(server.container());
    run.emplace(fixture.begin({"backup", server.container()}));
    wait_until("the engine reads the large file", 30s,
               [&] { return read_position(file).value_or(0) > 0; });
    REQUIRE(paused(server.container()));
  }

  RedisServer server;
  std::string life;
  std::optional<Process> run;
};

}  // namespace

// --- whole ---------------------------------------------------------------------------------------

TEST_CASE(
    "B, a password on the command line: saved, archived without a pause, and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_password());
  server.seed();
  write_file(data_of(server.container()) + "/temp-4711.rdb", "half of an RDB");
  const Json manifest = check_saved_live(fixture, server);
  CHECK(entries_of(fixture, manifest) == Strings{"data/", "data/dump.rdb"});
  CHECK(artifact_of(manifest).at("source") == "/data");
  CHECK(artifact_of(manifest).at("found").at("rdb_file") == "dump.rdb");
  CHECK(manifest.at("facts").at("role") == "master");
  CHECK(manifest.at("facts").at("aof_enabled") == false);
  check_restores(fixture, server);
}

TEST_CASE("B, Valkey without any password, and zstd: saved, archived, and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.image = "bba-fixture/valkey:8";
  const RedisServer server(fixture, "valkey", setup);
  server.seed();
  const Json manifest = check_saved_live(fixture, server, {"--compression", "zstd"});
  CHECK(has(manifest.at("facts").at("version"), "Valkey 8"));
  CHECK(manifest.at("rule") == "image bba-fixture/valkey matches */valkey (class B)");
  check_restores(fixture, server);
}

TEST_CASE(
    "B, a server without a volume is archived from inside the container, and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.image = "bba-fixture/novolume/redis:7";
  setup.arguments = {"--dbfilename", "cache.rdb"};
  const RedisServer server(fixture, "redis", setup);
  REQUIRE(inspect(server.container()).at("Mounts").empty());
  server.seed();
  const Json manifest = check_saved_live(fixture, server);
  CHECK(holds(entries_of(fixture, manifest), "data/cache.rdb"));
  check_restores(fixture, server);
}

TEST_CASE("B, an append-only file: paused while it is read, and restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup = with_password();
  setup.arguments.insert(setup.arguments.end(), with_append_only.begin(), with_append_only.end());
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  const std::string volume =
      docker({"inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", server.container()});
  const std::string sidecar =
      fixture.start("sidecar", {"--volume", volume + ":/cache"}, "bba-fixture/files:1");
  const EventLog log({server.container(), sidecar});
  const Json manifest = check_saved(fixture, server);
  CHECK(manifest.at("strategy") == "BGSAVE, then the data directory");
  CHECK(manifest.at("fallback").is_null());
  check_was_paused(manifest, {server.container(), sidecar});
  const Strings entries = entries_of(fixture, manifest);
  CHECK(holds(entries, "data/dump.rdb"));
  CHECK(holds(entries, "data/appendonlydir/appendonly.aof.manifest"));
  // The save comes before the pause.
  const Strings events = log.events();
  const auto first = [&](const std::string& event) {
    return std::find_if(events.begin(), events.end(),
                        [&](const std::string& one) { return one.starts_with(event); });
  };
  REQUIRE(first("exec_create: redis-cli BGSAVE") != events.end());
  CHECK(first("exec_create: redis-cli BGSAVE") < first("pause "));
  CHECK(std::count_if(events.begin(), events.end(),
                      [](const std::string& one) { return one.starts_with("pause "); }) == 2);
  check_restores(fixture, server);
}

TEST_CASE("B, plan shows exactly the requests that backup sends, in their order") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_arguments(with_append_only));
  server.seed();
  // The engine's events, written as the requests that caused them; repeated ones once.
  const std::string url = "/containers/" + server.container();
  const auto requests_of = [&](const Strings& arguments, std::string& out) {
    const EventLog log({server.container()});
    const Ended ended = fixture.bba(arguments);
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    out = ended.out;
    Strings requests;
    for (const std::string& event : log.events()) {
      constexpr std::string_view exec = "exec_create: ";
      std::string request;
      if (event.starts_with(exec)) {
        request = "POST " + url + "/exec: " + event.substr(exec.size());
        request.resize(request.size() - server.container().size() - 1);
      }
      if (event.starts_with("pause ")) request = "POST " + url + "/pause";
      if (event.starts_with("unpause ")) request = "POST " + url + "/unpause";
      if (event.starts_with("archive-path ")) request = "GET " + url + "/archive?path=%2Fdata";
      if (request.empty() || (!requests.empty() && requests.back() == request)) continue;
      requests.push_back(request);
    }
    return requests;
  };
  std::string planned;
  std::string unused;
  const Strings asked = requests_of({"plan", server.container(), "--json"}, planned);
  Strings made = requests_of({"backup", server.container()}, unused);
  // Backup starts with plan's requests.
  REQUIRE(made.size() > asked.size());
  REQUIRE(std::equal(asked.begin(), asked.end(), made.begin()));
  made.erase(made.begin(), made.begin() + static_cast<std::ptrdiff_t>(asked.size()));
  const auto plan = parse_json(planned);
  REQUIRE(plan);
  Strings requests;
  for (const Json& one : plan->at("requests")) {
    const std::string request = one;
    requests.push_back(request.substr(0, request.find(" (")));
  }
  CHECK(made == requests);
}

// --- passwords -----------------------------------------------------------------------------------

TEST_CASE("B, the password is read from the container's REDIS_PASSWORD") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.password = secret;
  setup.options = {"--env", "REDIS_PASSWORD=" + secret};
  setup.shell = "exec redis-server $SERVER_OPTIONS --save '' --requirepass \"$REDIS_PASSWORD\"";
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  check_saved_live(fixture, server);
}

TEST_CASE("B, the password is read from the file that the container's REDIS_PASSWORD_FILE names") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  write_file(fixture.path("password"), secret + "\n");
  RedisSetup setup;
  setup.password = secret;
  setup.options = {"--env", "REDIS_PASSWORD_FILE=/run/secrets/password", "--volume",
                   fixture.path("password") + ":/run/secrets/password:ro"};
  setup.shell =
      "exec redis-server $SERVER_OPTIONS --save '' --requirepass \"$(cat $REDIS_PASSWORD_FILE)\"";
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  check_saved_live(fixture, server);
}

TEST_CASE(
    "B, a password that only the operator knows: none given, a wrong one, and the right one") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  write_file(fixture.path("redis.conf"), "requirepass " + secret + "\nsave \"\"\n");
  RedisSetup setup;
  setup.password = secret;
  setup.options = {"--volume", fixture.path("redis.conf") + ":/etc/redis.conf:ro"};
  setup.shell = "exec redis-server /etc/redis.conf $SERVER_OPTIONS";
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  // With nothing on disk, and with an RDB that is older than what the server holds.
  for (const bool saved : {false, true}) {
    CAPTURE(saved);
    if (saved) server.ask({"SAVE"});
    server.ask({"SET", "since", "the save"});
    const std::string life = life_of(server.container());
    check_fails(
        fixture,
        fixture.bba({"backup", server.container()}, with_environment({{"SUDO_USER", "somebody"}})),
        6,
        {"the server refuses all credentials", "NOAUTH", "hint: set REDISCLI_AUTH",
         "sudo drops it without --preserve-env=REDISCLI_AUTH", "--class E"});
    check_fails(fixture,
                fixture.bba({"backup", server.container()},
                            with_environment({{"REDISCLI_AUTH", "not it"}})),
                6, {"WRONGPASS", "hint: set REDISCLI_AUTH"});
    CHECK(life_of(server.container()) == life);
  }
  CHECK(fixture.bba({"backup", server.container(), "--class", "E"}).exit_code == 0);
  CHECK(fixture.manifest().at("class") == "E");
  for (const std::string variable : {"REDISCLI_AUTH", "REDIS_PASSWORD"}) {
    CAPTURE(variable);
    const E2eFixture other;
    check_saved_live(other, server, {}, with_environment({{variable, secret}}));
  }
}

TEST_CASE("B, an ACL user that the configuration names needs only the rights that a backup uses") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup = with_password();
  setup.password = "another, of the default user";
  setup.arguments = {"--requirepass", setup.password, "--user",  "keeper",     "on",
                     ">" + secret,    "+info",        "+bgsave", "+config|get"};
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  write_file(fixture.path("bba.yaml"),
             "modules:\n  " + server.container() + ":\n    user: keeper\n");
  const Setting setting = with_environment({{"REDISCLI_AUTH", secret}});
  const EventLog log({server.container()});
  check_saved_live(fixture, server, {"--config", fixture.path("bba.yaml")}, setting);
  CHECK(has(join(log.events(), "\n"), "--user keeper BGSAVE"));
}

TEST_CASE("B, an ACL user that may not save, or not even read the server's state: exit 6") {
  NEEDS_ENGINE();
  for (const std::string& allowed : Strings{"+info", "+bgsave"}) {
    CAPTURE(allowed);
    E2eFixture fixture;
    RedisSetup setup;
    setup.password = "another, of the default user";
    setup.arguments = {"--requirepass", setup.password, "--user", "keeper", "on",
                       ">" + secret,    allowed};
    const RedisServer server(fixture, "redis", setup);
    server.seed();
    server.ask({"SAVE"});
    write_file(fixture.path("bba.yaml"),
               "modules:\n  " + server.container() + ":\n    user: keeper\n");
    check_fails(fixture,
                fixture.bba({"backup", server.container(), "--config", fixture.path("bba.yaml")},
                            with_environment({{"REDISCLI_AUTH", secret}})),
                6, {"NOPERM", "hint: set", "--class E"});
  }
}

TEST_CASE("B, the password is in no output, no event, and no process's command line") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_password());
  server.seed();
  const EventLog log({server.container()});
  for (const Strings& arguments : {Strings{"-v", "plan", server.container()},
                                   Strings{"-v", "plan", server.container(), "--json"}}) {
    const Ended ended = fixture.bba(arguments);
    REQUIRE(ended.exit_code == 0);
    CHECK(has(ended.out, "BGSAVE"));
    check_keeps_secret(fixture, ended);
  }
  CHECK_FALSE(std::filesystem::exists(fixture.backups()));

  // Records the command line of every client, and then runs the real one.
  docker({"exec", server.container(), "sh", "-ec",
          "p=$(command -v redis-cli); mv $p /usr/bin/the-client; printf '#!/bin/sh\necho \"$0 $*\" "
          ">>/tmp/seen\nexec the-client \"$@\"\n' >$p; chmod +x $p"});
  const Ended ended = fixture.bba({"-v", "backup", server.container(), "--json"});
  CHECK(ended.exit_code == 0);
  check_keeps_secret(fixture, ended);
  const std::string seen = docker({"exec", server.container(), "cat", "/tmp/seen"});
  REQUIRE(has(seen, "redis-cli BGSAVE"));
  CHECK_FALSE(has(seen, secret));
  const std::string events = join(log.events(), "\n");
  REQUIRE(has(events, "exec_create: redis-cli BGSAVE"));
  CHECK_FALSE(has(events, secret));
}

// --- a server that is busy with itself
// -------------------------------------------------------------

TEST_CASE("B, a save that is already under way is waited for, and then one of our own is made") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  server.slow_saves(2ms);
  server.ask({"BGSAVE"});
  SuspendedSave suspended_save(server);
  // Not in the save that is under way.
  server.ask({"SET", "since", "the save"});
  Process run = fixture.begin({"backup", server.container()});
  wait_until("the run waits", 30s,
             [&] { return has(run.err(), "waiting for a save that was under way already"); });
  suspended_save.resume();
  const Ended ended = run.wait();
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(server.info("rdb_saves") == "2");
  check_keyspace(fixture.manifest(), server.keyspace());
  check_restores(fixture, server);
}

TEST_CASE("B, during an append-only rewrite the save is scheduled, and is made after it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_arguments(with_append_only));
  server.seed();
  const Json keyspace = server.keyspace();
  const std::string life = life_of(server.container());
  server.slow_saves(2ms);
  server.ask({"BGREWRITEAOF"});
  SuspendedSave suspended_save(server);
  const EventLog log({server.container()});
  Process run = fixture.begin({"backup", server.container()});
  wait_until("a save is scheduled", 30s,
             [&] { return has(join(log.events(), "\n"), "redis-cli BGSAVE SCHEDULE"); });
  CHECK(server.info("aof_rewrite_in_progress") == "1");
  suspended_save.resume();
  const Ended ended = run.wait();
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(server.container()) == life);
  CHECK(fixture.manifest().at("fallback").is_null());
  check_keyspace(fixture.manifest(), keyspace);
  CHECK(server.info("rdb_saves") == "1");
  check_restores(fixture, server);
}

TEST_CASE("B, a server under writes: its keys before and after the save are recorded") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  server.slow_saves(2ms);
  Process run = fixture.begin({"backup", server.container()});
  SuspendedSave suspended_save(server);
  server.ask({"-n", "5", "SET", "late", "not in the save"});
  server.ask({"-n", "3", "DEL", "other:1"});
  suspended_save.resume();
  CHECK(run.wait().exit_code == 0);
  const Json manifest = fixture.manifest();
  const Json& keyspace = artifact_of(manifest).at("found").at("keyspace");
  CHECK(keyspace.at("db3") == Json{{"before", {{"keys", 20}, {"expires", 5}}},
                                   {"after", {{"keys", 19}, {"expires", 4}}}});
  CHECK(keyspace.at("db5") ==
        Json{{"before", {{"keys", 0}, {"expires", 0}}}, {"after", {{"keys", 1}, {"expires", 0}}}});
}

TEST_CASE(
    "B, a server that saves again by itself: the newer RDB is archived, and its keys recorded") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  // Read before the RDB.
  const std::string file = data_of(server.container()) + "/a-large-file";
  write_file(file, "");
  // More than all buffers on the way.
  constexpr std::uint64_t size = 96 << 20;
  std::filesystem::resize_file(file, size);
  // No program can be started during the archive, so this one waits in the container beforehand.
  docker({"exec", "--detach", server.container(), "sh", "-ec",
          "until [ -e /tmp/go ]; do sleep 0.1; done; sleep 1.1; redis-cli -n 3 SET late newer; "
          "redis-cli SAVE; touch /tmp/saved"});
  const std::string go = seen_from_here(server.container(), "/tmp/go");
  const std::string saved = seen_from_here(server.container(), "/tmp/saved");
  Process run = fixture.begin({"backup", server.container()});
  wait_until("the engine reads the large file", 30s,
             [&] { return read_position(file).value_or(0) > 0; });
  run.signal(SIGSTOP);
  REQUIRE(read_position(file).value_or(size) < size);
  write_file(go, "");
  wait_until("the server's own save", 30s, [&] { return std::filesystem::exists(saved); });
  run.signal(SIGCONT);
  const Ended ended = run.wait();
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json manifest = fixture.manifest();
  CHECK(
      artifact_of(manifest).at("found").at("keyspace").at("db3") ==
      Json{{"before", {{"keys", 20}, {"expires", 5}}}, {"after", {{"keys", 21}, {"expires", 5}}}});
  check_restores(fixture, server);
}

// --- where the server does not save
// ----------------------------------------------------------------

TEST_CASE("B, CONFIG is renamed: the server saves, and the mounted data is archived while paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_arguments({"--rename-command", "CONFIG", ""}));
  server.seed();
  const Json manifest = check_saved(fixture, server);
  CHECK(manifest.at("strategy") == "BGSAVE, then the mounted data");
  CHECK(has(manifest.at("fallback"), "CONFIG GET is refused (ERR unknown command 'CONFIG'"));
  CHECK(has(dump_json(manifest.at("warnings")), "CONFIG GET is refused"));
  check_was_paused(manifest, {server.container()});
  // It cannot be asked whether it keeps an append-only file: the operator says so.
  check_restores(fixture, server, {{"APPENDFILE", ""}});
}

TEST_CASE("B, CONFIG is refused, and the RDB is elsewhere: exit 6, and the error says what to do") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  RedisSetup setup;
  setup.image = "bba-fixture/novolume/redis:7";
  const std::string elsewhere = fixture.volume("elsewhere");
  setup.options = {"--volume", elsewhere + ":/elsewhere"};
  setup.arguments = {"--rename-command", "CONFIG", ""};
  const RedisServer server(fixture, "redis", setup);
  server.seed();
  const Ended ended = fixture.bba({"backup", server.container()});
  check_fails(fixture, ended, 6,
              {"the server has saved, but its RDB is not in what was archived",
               "hint: set modules." + server.container() + ".paths"});
  // The hint works.
  check_saved(fixture, server, {"--path", "/data"});
}

TEST_CASE("B, BGSAVE is refused: the files are archived while paused, with the server's reason") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_arguments({"--rename-command", "BGSAVE", ""}));
  server.seed();
  const std::string life = life_of(server.container());
  // It has never saved.
  check_fails(fixture, fixture.bba({"backup", server.container()}), 6,
              {"BGSAVE: refused: ERR unknown command 'BGSAVE'", no_data, "hint: ", "--class E"});
  CHECK(life_of(server.container()) == life);
  server.ask({"SAVE"});
  const Json manifest =
      check_files(fixture, server.container(), {"BGSAVE: refused: ERR unknown command 'BGSAVE'"});
  check_was_paused(manifest, {server.container()});
  CHECK(artifact_of(manifest).at("kind") == "rdb-directory");
  CHECK(artifact_of(manifest).at("found").at("aof_files") == 0);
}

TEST_CASE("B, stopped or paused, and neither an RDB nor an append-only file: exit 6") {
  NEEDS_ENGINE();
  for (const std::string& state : Strings{"stop", "pause"}) {
    CAPTURE(state);
    E2eFixture fixture;
    const RedisServer server(fixture, "redis");
    server.seed();
    write_file(data_of(server.container()) + "/redis.log", "it has other files");
    docker({state, server.container()});
    check_fails(fixture, fixture.bba({"backup", server.container()}), 6,
                {"no BGSAVE, as the container is", no_data, "hint: ", "--class E"});
    // The operator says so.
    CHECK(fixture.bba({"backup", server.container(), "--class", "E"}).exit_code == 0);
    const Json manifest = fixture.manifest();
    CHECK(manifest.at("class") == "E");
    CHECK_FALSE(artifact_of(manifest).at("found").contains("aof_files"));
  }
}

TEST_CASE(
    "B, stopped, with an append-only file and no RDB: the files are archived, restored by hand") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis", with_arguments(with_append_only));
  server.seed();
  const std::string digest = server.digest();
  docker({"stop", server.container()});
  const Json manifest = check_files(fixture, server.container(), {"as the container is exited"});
  CHECK_FALSE(holds(entries_of(fixture, manifest), "data/dump.rdb"));
  CHECK(artifact_of(manifest).at("kind") == "tar");
  // The base and what was written since.
  CHECK(artifact_of(manifest).at("found").at("aof_files") == 2);
  const RedisServer second(fixture, "second", server.setup());
  REQUIRE(fixture.restore_by_hand(second.container()).exit_code == 0);
  second.wait_until_ready();
  CHECK(second.digest() == digest);
}

TEST_CASE("B, no redis-cli in the container: the files are archived while paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  server.ask({"SAVE"});
  const std::string digest = server.digest();
  docker({"exec", server.container(), "sh", "-c", "rm $(command -v redis-cli)"});
  const Json manifest =
      check_files(fixture, server.container(), {"no BGSAVE", "redis-cli", "not found"});
  check_was_paused(manifest, {server.container()});
  const RedisServer second(fixture, "second");
  REQUIRE(fixture.restore_by_hand(second.container()).exit_code == 0);
  second.wait_until_ready();
  CHECK(second.digest() == digest);
}

TEST_CASE("B, the server is down in a running container: the files are archived while paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container =
      fixture.start("redis", {}, "bba-fixture/redis:7", {"sh", "-c", "while :; do sleep 1; done"});
  write_file(data_of(container) + "/appendonly.aof", "old");
  const Json manifest = check_files(
      fixture, container, {"no BGSAVE", "the server does not answer", "Could not connect"});
  check_was_paused(manifest, {container});
  CHECK(artifact_of(manifest).at("kind") == "tar");
}

TEST_CASE("B, a container that is stopped or paused: the files are archived, and it stays so") {
  NEEDS_ENGINE();
  const Strings states{"stopped", "paused"};
  for (const std::string& state : states) {
    CAPTURE(state);
    E2eFixture fixture;
    const RedisServer server(fixture, "redis");
    server.seed();
    server.ask({"SAVE"});
    const std::string digest = server.digest();
    docker({state == "paused" ? "pause" : "stop", server.container()});
    const EventLog log({server.container()});
    const Json manifest = check_files(
        fixture, server.container(),
        {state == "paused" ? "as the container is paused" : "as the container is exited"});
    CHECK(manifest.at("consistency") == Json{{"mode", state}, {"paused", Json::array()}});
    CHECK_FALSE(has(join(log.events(), "\n"), "pause"));
    CHECK(paused(server.container()) == (state == "paused"));
    const RedisServer second(fixture, "second");
    REQUIRE(fixture.restore_by_hand(second.container()).exit_code == 0);
    second.wait_until_ready();
    CHECK(second.digest() == digest);
  }
}

TEST_CASE("B, the RDB is damaged in the volume: exit 6 names it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  server.ask({"SAVE"});
  docker({"stop", server.container()});
  const std::string file = data_of(server.container()) + "/dump.rdb";
  std::string rdb = read_file(file);
  rdb[rdb.size() / 2] ^= 1;
  write_file(file, rdb);
  const Strings said{"archive of /data", "/data/dump.rdb", "its checksum", "hint: ", "--class E"};
  check_fails(fixture, fixture.bba({"backup", server.container()}), 6, said);
  // Cut.
  write_file(file, std::string_view(rdb).substr(0, rdb.size() / 2));
  check_fails(fixture, fixture.bba({"backup", server.container()}), 6, {"/data/dump.rdb", "cut"});
  CHECK(fixture.bba({"backup", server.container(), "--class", "E"}).exit_code == 0);
}

// --- half way ------------------------------------------------------------------------------------

TEST_CASE("B, the container is killed during the save: exit 6, and nothing is left") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server = busy_server(fixture);
  Process run = fixture.begin({"backup", server.container()});
  server.saver();
  docker({"kill", server.container()});
  check_fails(fixture, run.wait(20s), 6, {"BGSAVE: the server went away during its save"});
}

TEST_CASE("B, the save fails: exit 6, and the server keeps running") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server = busy_server(fixture);
  const std::string life = life_of(server.container());
  Process run = fixture.begin({"backup", server.container()});
  REQUIRE(::kill(server.saver(), SIGKILL) == 0);
  check_fails(fixture, run.wait(20s), 6,
              {"the server's background save failed", "hint: see its log"});
  CHECK(life_of(server.container()) == life);
}

TEST_CASE("B, SIGTERM and a time limit during the save: 143, 124, and the server keeps running") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server = busy_server(fixture);
  const std::string life = life_of(server.container());
  {
    Process run = fixture.begin({"backup", server.container()});
    server.saver();
    run.signal(SIGTERM);
    check_fails(fixture, run.wait(10s), 143, {});
  }
  // The save that the killed run requested goes on in the server; this run waits for it.
  check_fails(fixture, fixture.bba({"backup", server.container(), "--timeout", "2s"}), 124, {});
  CHECK(life_of(server.container()) == life);
}

TEST_CASE(
    "B, SIGKILL during the save: nothing is left, the server keeps running, the next run works") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  server.seed();
  server.slow_saves(2ms);
  const std::string life = life_of(server.container());
  Process run = fixture.begin({"backup", server.container()});
  SuspendedSave suspended_save(server);
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
  CHECK_FALSE(paused(server.container()));
  const Ended recovered = fixture.bba({"recover"});
  CHECK(recovered.exit_code == 0);
  CHECK(recovered.out.empty());
  fixture.check_nothing_left();
  suspended_save.resume();
  server.slow_saves(0ms);
  const Ended again = fixture.bba({"backup", server.container()});
  INFO(again.err);
  CHECK(again.exit_code == 0);
  const Json found = fixture.manifest().at("artifacts")[0].at("found");
  CHECK(found.at("keyspace").at("db0").at("after") == server.keyspace().at("db0"));
  CHECK(server.info("rdb_saves") == "2");
  CHECK(life_of(server.container()) == life);
}

TEST_CASE(
    "B, a frozen server: the time limit ends the run with 124, and its client in the container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  const pid_t first = first_process_of(server.container());
  REQUIRE(::kill(first, SIGSTOP) == 0);
  const Ended ended = fixture.bba({"backup", server.container(), "--timeout", "1s"});
  const Strings lines = command_lines_in(server.container());
  ::kill(first, SIGCONT);
  check_fails(fixture, ended, 124, {});
  REQUIRE(std::any_of(lines.begin(), lines.end(),
                      [](const std::string& line) { return has(line, "redis-server"); }));
  CHECK(std::none_of(lines.begin(), lines.end(),
                     [](const std::string& line) { return has(line, "redis-cli"); }));
}

TEST_CASE("B, SIGTERM while the append-only file is read: 143, and the container is unpaused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Half half(fixture);
  half.run->signal(SIGTERM);
  check_fails(fixture, half.run->wait(10s), 143, {});
  CHECK(life_of(half.server.container()) == half.life);
}

TEST_CASE("B, SIGKILL while the append-only file is read: unpaused within two seconds") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Half half(fixture);
  half.run->signal(SIGKILL);
  const auto took = wait_until("the container runs again", 2000ms,
                               [&] { return !paused(half.server.container()); });
  MESSAGE("unpaused after " << took.count() << " s");
  CHECK(half.run->wait().exit_code == -SIGKILL);
  fixture.wait_for_guard_to_end();
  CHECK(life_of(half.server.container()) == half.life);
  fixture.check_nothing_left();
}

TEST_CASE("B, the backup directory's file system is full: exit 8, and nothing stays paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  fixture.small_backup_directory("64k");
  const RedisServer server(fixture, "redis", with_arguments(with_append_only));
  server.seed_noise(200);
  const std::string life = life_of(server.container());
  check_fails(fixture, fixture.bba({"backup", server.container()}), 8, {"No space left on device"});
  CHECK(life_of(server.container()) == life);
}

// --- two runs ------------------------------------------------------------------------------------

TEST_CASE("B, two runs at once: of one module exit 9, of two modules both complete") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const RedisServer server(fixture, "redis");
  const RedisServer other(fixture, "redis");
  for (const RedisServer* one : {&server, &other}) {
    one->seed();
    one->slow_saves(2ms);
  }
  Process first = fixture.begin({"backup", server.container()});
  Process beside = fixture.begin({"backup", other.container()});
  SuspendedSave suspended_save(server);
  SuspendedSave suspended_save_of_other(other);
  const Ended second = fixture.bba({"backup", server.container()});
  CHECK(second.exit_code == 9);
  CHECK(has(second.err, fmt::format("pid {}", first.pid())));
  suspended_save.resume();
  suspended_save_of_other.resume();
  CHECK(first.wait().exit_code == 0);
  CHECK(beside.wait().exit_code == 0);
  CHECK(server.info("rdb_saves") == "1");
  CHECK(other.info("rdb_saves") == "1");
  CHECK(names_in(fixture.backups()).size() == 6);
  CHECK(fixture.bba({"verify", server.container()}).exit_code == 0);
  CHECK(fixture.bba({"verify", other.container()}).exit_code == 0);
  CHECK(fixture.journals() == Strings{});
}
