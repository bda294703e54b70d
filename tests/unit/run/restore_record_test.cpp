#include "bba/run/restore_record.hpp"

#include <array>
#include <filesystem>
#include <sys/stat.h>

#include <doctest/doctest.h>

#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::run {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

const Json always = Json{{"Name", "always"}, {"MaximumRetryCount", 0}};
const Json on_failure = Json{{"Name", "on-failure"}, {"MaximumRetryCount", 3}};
constexpr std::array all_phases{RestorePhase::building, RestorePhase::exchanging,
                                RestorePhase::started, RestorePhase::proven};

RestoreRecord sample(RestorePhase phase = RestorePhase::exchanging) {
  RestoreRecord record;
  record.module = "forgejo";
  record.set = "forgejo-20261123T120000Z.manifest.json";
  record.time = noon;
  record.phase = phase;
  record.containers = {{"c1", "db", true, always}, {"c2", "web", false, on_failure}};
  record.places = {{"/data", "/srv/data.bba", ""}, {"/config", "", "bba-volume"}};
  record.pairs = {{"/srv/data", "/srv/data.bba", {1, 2}, {1, 3}}};
  record.keeper = "bba-keeper";
  record.replacements = {{"c1", "c9", "db", "db-replaced-20261123T120000Z", always}};
  return record;
}

// The entry as recover reads it.
store::JournalEntry read_back(const store::JournalEntry& entry) {
  store::JournalEntry copy = entry;
  copy.details = *parse_json(dump_json(entry.details));
  return copy;
}

std::string container_json(const std::string& id, bool running) {
  return answer(200, dump_json(Json{{"Id", id},
                                    {"Name", "/name-of-" + id},
                                    {"Image", "sha256:aaaa"},
                                    {"State", {{"Running", running}, {"Paused", false}}},
                                    {"Config", {{"Image", "img:1"}}}}));
}

// Two containers that use two directories, `one` and `two`, with those that were built for them
// beside them, and an engine that has all of it.
struct RestoreFixture {
  RestoreFixture() {
    for (const char* name : {"one", "two"}) {
      const std::string live = directory.temp / name;
      const std::string built = live + ".built";
      for (const std::string& path : {live, built}) {
        fs::create_directory(path);
        write_file(path + "/name", fs::path(path).filename().string());
      }
      record.pairs.push_back({live, built, *file_id(live), *file_id(built)});
      record.places.push_back({std::string("/") + name, built, ""});
    }
    record.module = "forgejo";
    record.set = "the-set";
    record.time = noon;
    record.containers = {{"c1", "db", true, always}, {"c2", "web", true, on_failure}};
    record.keeper = "keeper";
    for (const std::string id : {"c1", "c2"}) {
      fake.on("GET /containers/" + id + "/json", {send(container_json(id, true))});
      for (const char* call : {"/stop", "/start"}) {
        fake.on("POST /containers/" + id + call, {send(answer(204, ""))});
      }
      fake.on("POST /containers/" + id + "/update", {send(answer(200, R"({"Warnings":null})"))});
    }
    fake.on("DELETE /containers/keeper", {send(answer(204, ""))});
    fake.on("DELETE /volumes/v1", {send(answer(204, ""))});
  }

  std::string end() { return end_restore(engine, directory.state(), record).said; }

  // What is in the live directories and in the built ones.
  Lines names() const {
    Lines names;
    for (const ExchangePair& pair : record.pairs) {
      for (const std::string& path : {pair.live, pair.built}) {
        names.push_back(fs::exists(path) ? read_file(path + "/name") : "gone");
      }
    }
    return names;
  }

  // All that changes something at the engine, in order: "stop c1", "update c1 always".
  Lines calls() const {
    Lines calls;
    for (const bba::test::SeenRequest& seen : fake.requests()) {
      if (seen.method == "GET") continue;
      const std::string path = seen.target.substr(0, seen.target.find('?'));
      const auto slash = path.rfind('/');
      const std::string last = path.substr(slash + 1);
      if (seen.method == "DELETE") {
        calls.push_back("remove " + last);
        continue;
      }
      std::string id = path.substr(0, slash);
      id.erase(0, id.rfind('/') + 1);
      std::string call = last + ' ' + id;
      if (last == "update") {
        const auto body = parse_json(seen.body);
        call += ' ' + body->at("RestartPolicy").at("Name").get<std::string>();
      }
      calls.push_back(call);
    }
    return calls;
  }

  SetDirectory directory;
  FakeEngine fake;
  docker::Engine engine{fake.socket_path(), {}, nullptr};
  RestoreRecord record;
};

const Lines all_before{"one", "one.built", "two", "two.built"};
const Lines all_exchanged{"one.built", "one", "two.built", "two"};
const Lines stopped{"update c2 no", "stop c2", "update c1 no", "stop c1"};
const Lines started{"start c1", "start c2", "update c1 always", "update c2 on-failure"};
const Lines removed{"remove keeper"};

Lines operator+(Lines a, const Lines& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ParkedState parked_at(Timestamp time, const std::string& module = "forgejo") {
  ParkedState parked;
  parked.module = module;
  parked.time = time;
  return parked;
}

// As a restore writes it that is proven and exchanged nothing.
void park(const SetDirectory& directory, const ParkedState& parked) {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  RestoreRecord record;
  record.module = parked.module;
  record.time = parked.time;
  record.phase = RestorePhase::proven;
  record.places = parked.places;
  record.keeper = parked.keeper;
  end_restore(engine, directory.state(), record);
}

}  // namespace

TEST_CASE("a record is read from the entry that it was written to, in each phase") {
  for (const RestorePhase phase : all_phases) {
    RestoreRecord record = sample(phase);
    record.is_undo = phase == RestorePhase::started;
    const store::JournalEntry entry = journal_entry(record);
    CHECK(entry.kind == store::CleanupKind::restore);
    CHECK(entry.name == "forgejo");
    CHECK(entry == journal_entry(sample()));  // one thing in all phases
    const auto read = restore_record(read_back(entry));
    REQUIRE(read);
    CHECK(read->phase == phase);
    CHECK(read->is_undo == record.is_undo);
    CHECK(read->module == record.module);
    CHECK(read->set == record.set);
    CHECK(read->time == record.time);
    CHECK(read->keeper == record.keeper);
    REQUIRE(read->containers.size() == 2);
    CHECK(read->containers[0].id == "c1");
    CHECK(read->containers[0].name == "db");
    CHECK(read->containers[0].ran);
    CHECK(read->containers[0].restart_policy == always);
    CHECK(read->containers[1].id == "c2");
    CHECK_FALSE(read->containers[1].ran);
    CHECK(read->containers[1].restart_policy == on_failure);
    REQUIRE(read->places.size() == 2);
    CHECK(read->places[0].destination == "/data");
    CHECK(read->places[0].directory == "/srv/data.bba");
    CHECK(read->places[1].volume == "bba-volume");
    REQUIRE(read->pairs.size() == 1);
    CHECK(read->pairs[0].live == "/srv/data");
    CHECK(read->pairs[0].built == "/srv/data.bba");
    CHECK(read->pairs[0].live_id == FileId{1, 2});
    CHECK(read->pairs[0].built_id == FileId{1, 3});
  }
}

TEST_CASE("restores of two modules or times are two things") {
  const store::JournalEntry entry = journal_entry(sample());
  RestoreRecord other = sample();
  other.module = "gitea";
  CHECK_FALSE(entry == journal_entry(other));
  other = sample();
  other.time += std::chrono::seconds(1);
  CHECK_FALSE(entry == journal_entry(other));
}

TEST_CASE("an entry that lacks what it has to hold is no restore's") {
  const store::JournalEntry whole = journal_entry(sample());
  REQUIRE(restore_record(whole));
  for (const char* key : {"module", "time", "phase", "is_undo", "containers", "places", "pairs"}) {
    CAPTURE(key);
    store::JournalEntry broken = whole;
    broken.details.erase(key);
    CHECK_FALSE(restore_record(broken));
    broken.details[key] = 7;
    CHECK_FALSE(restore_record(broken));
  }
  const auto lacks = [&](const char* list, const char* key) {
    CAPTURE(list);
    CAPTURE(key);
    store::JournalEntry broken = whole;
    broken.details[list][0].erase(key);
    CHECK_FALSE(restore_record(broken));
  };
  for (const char* key : {"id", "ran", "restart_policy"}) lacks("containers", key);
  for (const char* key : {"destination", "directory", "volume"}) lacks("places", key);
  for (const char* key : {"live", "built", "live_id", "built_id"}) lacks("pairs", key);
  for (const char* key : {"old_id", "new_id", "name", "aside"}) lacks("replacements", key);

  store::JournalEntry broken = whole;
  broken.details["phase"] = "flying";
  CHECK_FALSE(restore_record(broken));
  broken = whole;
  broken.details["time"] = "yesterday";
  CHECK_FALSE(restore_record(broken));
  broken = whole;
  broken.kind = store::CleanupKind::stopped;
  CHECK_FALSE(restore_record(broken));
  for (const Json& details : {Json(), Json::array(), Json("text")}) {
    broken = whole;
    broken.details = details;
    CHECK_FALSE(restore_record(broken));
  }
}

TEST_CASE("what is only for messages may be missing") {
  store::JournalEntry entry = journal_entry(sample());
  entry.details["containers"][0].erase("name");
  entry.details.erase("set");
  const auto read = restore_record(entry);
  REQUIRE(read);
  CHECK(read->containers.at(0).name == "c1");
  CHECK(read->set.empty());
}

TEST_CASE("while it is being built, only what was built is removed") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::building;
  fixture.record.pairs.pop_back();
  fixture.record.places.push_back({"/three", "/nonexistent", "v1"});
  CHECK(fixture.end() == "undone: nothing of the service was touched");
  CHECK(fixture.calls() == Lines{"remove keeper", "remove v1"});
  CHECK(fixture.names() == Lines{"one", "gone"});
  CHECK_FALSE(fs::exists(fixture.directory.temp / "two.built"));
  CHECK(fs::exists(fixture.directory.temp / "two"));
  CHECK(parked_states(fixture.directory.state(), "").empty());
  // Another time there is nothing left to be removed, and that is no error.
  CHECK(fixture.end() == "undone: nothing of the service was touched");
}

TEST_CASE("half exchanged, both are as they were, and the service is started") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::exchanging;
  SUBCASE("none was exchanged") {}
  SUBCASE("the first was exchanged") {
    exchange(fixture.record.pairs[0]);
  }
  SUBCASE("the second was exchanged") {
    exchange(fixture.record.pairs[1]);
  }
  SUBCASE("both were exchanged") {
    for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  }
  CHECK(fixture.end() == "undone: the service has what it had before");
  CHECK(fixture.names() == Lines{"one", "gone", "two", "gone"});
  CHECK(fixture.calls() == stopped + started + removed);
  CHECK(fixture.fake.last("POST /containers/c2/update").body ==
        dump_json(Json{{"RestartPolicy", on_failure}}));
  CHECK(parked_states(fixture.directory.state(), "").empty());
}

TEST_CASE("what was built may be gone already: whoever was killed had begun to remove it") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::exchanging;
  fs::remove_all(fixture.record.pairs[0].built);
  CHECK(fixture.end() == "undone: the service has what it had before");
  CHECK(fixture.names() == Lines{"one", "gone", "two", "gone"});
  CHECK(fixture.calls() == stopped + started + removed);
  CHECK(fixture.end() == "undone: the service has what it had before");
}

TEST_CASE("a container that had not run is stopped and not started") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::exchanging;
  fixture.record.containers[0].ran = false;
  fixture.end();
  CHECK(fixture.calls() == stopped +
                               Lines{"update c1 no", "stop c1", "start c2", "update c1 always",
                                     "update c2 on-failure"} +
                               removed);
}

TEST_CASE("a container that is gone stops nothing from being undone") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::exchanging;
  fixture.record.containers.push_back({"c3", "gone", true, always});
  exchange(fixture.record.pairs[0]);
  fixture.end();
  CHECK(fixture.names() == Lines{"one", "gone", "two", "gone"});
  CHECK(fixture.calls() == stopped + started + removed);
}

TEST_CASE("what does not run is not stopped, but kept from being started") {
  RestoreFixture fixture;
  fixture.record.containers = {{"c4", "idle", false, always}};
  fixture.fake.on("GET /containers/c4/json", {send(container_json("c4", false))});
  fixture.fake.on("POST /containers/c4/update", {send(answer(200, "{}"))});
  stop_users(fixture.engine, fixture.record.containers, {fixture.record.pairs[0].live});
  CHECK(fixture.calls() == Lines{"update c4 no"});
}

TEST_CASE("a container that cannot be stopped leaves all as it is") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::exchanging;
  fixture.record.containers.push_back({"c5", "stubborn", true, always});
  fixture.fake.on("GET /containers/c5/json", {send(container_json("c5", true))});
  fixture.fake.on("POST /containers/c5/update", {send(answer(200, "{}"))});
  fixture.fake.on("POST /containers/c5/stop", {send(answer(500, R"({"message":"no"})"))});
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  const Thrown thrown = thrown_by([&] { fixture.end(); });
  REQUIRE(thrown.kind);
  CHECK(contains(thrown.message, "restore of forgejo"));
  CHECK(contains(thrown.message, "stopping stubborn"));
  CHECK(fixture.names() == all_exchanged);
  CHECK(fixture.calls() == Lines{"update c5 no", "stop c5"});
}

TEST_CASE("once it was started, it is exchanged back and what clients may have written is parked") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::started;
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  CHECK(fixture.end() == "undone: the service has what it had before; what was restored is parked");
  CHECK(fixture.names() == all_before);
  CHECK(fixture.calls() == stopped + started);
  const auto parked = parked_states(fixture.directory.state(), "forgejo");
  REQUIRE(parked.size() == 1);
  CHECK(parked[0].failed);
  CHECK(parked[0].module == "forgejo");
  CHECK(parked[0].set == "the-set");
  CHECK(parked[0].services == Lines{"db"});
  CHECK(parked[0].time == noon);
  CHECK(parked[0].keeper == "keeper");
  CHECK(parked[0].places.size() == 2);
  REQUIRE(parked[0].pairs.size() == 2);
  for (const ExchangePair& pair : parked[0].pairs) CHECK(state_of(pair) == PairState::before);
  CHECK(parked_states(fixture.directory.state(), "gitea").empty());
}

TEST_CASE("undone twice, what was parked the first time is still there") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::started;
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  fixture.end();
  // Whoever was killed before the entry was completed leaves it to the next.
  fixture.end();
  CHECK(fixture.names() == all_before);
  CHECK(parked_states(fixture.directory.state(), "forgejo").size() == 1);
  // Killed between the exchange and the file that says what is parked.
  RestoreFixture other;
  other.record.phase = RestorePhase::started;
  CHECK(other.end() == "undone: the service has what it had before; what was restored is parked");
  CHECK(other.names() == all_before);
  CHECK(parked_states(other.directory.state(), "forgejo").size() == 1);
}

TEST_CASE("the undo of an earlier restore is undone without anything parked or removed") {
  RestoreFixture fixture;
  fixture.record.is_undo = true;
  SUBCASE("exchanging") {
    fixture.record.phase = RestorePhase::exchanging;
  }
  SUBCASE("started") {
    fixture.record.phase = RestorePhase::started;
  }
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  CHECK(fixture.end() == "undone: the service has what it had before");
  CHECK(fixture.names() == all_before);
  CHECK(fixture.calls() == stopped + started);
  CHECK(parked_states(fixture.directory.state(), "").empty());
}

TEST_CASE("one that is proven is finished, and parks what the service had before") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::proven;
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  for (int time = 0; time < 2; ++time) {  // as where it is killed before the entry is completed
    CHECK(fixture.end() == "finished: the service has what was restored");
    CHECK(fixture.names() == all_exchanged);
    const auto parked = parked_states(fixture.directory.state(), "");
    REQUIRE(parked.size() == 1);
    CHECK_FALSE(parked[0].failed);
    REQUIRE(parked[0].pairs.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      const ExchangePair& pair = parked[0].pairs[i];
      CHECK(pair.live == fixture.record.pairs[i].live);
      CHECK(pair.live_id == fixture.record.pairs[i].built_id);
      CHECK(pair.built_id == fixture.record.pairs[i].live_id);
      CHECK(state_of(pair) == PairState::before);
    }
  }
  CHECK(fixture.calls() == started + started);
}

TEST_CASE("a rollback's record and what it parks have the containers that were exchanged") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::proven;
  // The names have been exchanged.
  fixture.record.replacements = {{"c1", "c9", "name-of-c9", "name-of-c1", on_failure}};
  fixture.fake.on("GET /containers/c9/json", {send(container_json("c9", true))});
  fixture.fake.on("POST /containers/c9/start", {send(answer(204, ""))});
  fixture.fake.on("POST /containers/c9/update", {send(answer(200, R"({"Warnings":null})"))});
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  const auto record = restore_record(read_back(journal_entry(fixture.record)));
  REQUIRE(record);
  REQUIRE(record->replacements.size() == 1);
  CHECK(to_json(record->replacements[0]) == to_json(fixture.record.replacements[0]));
  CHECK(final_id(*record, "c1") == "c9");
  CHECK(final_id(*record, "c2") == "c2");

  CHECK(fixture.end() == "finished: the service has what was restored");
  // The new one runs under its own policy, and the one that was replaced keeps none.
  CHECK(fixture.calls() ==
        Lines{"start c9", "start c2", "update c9 on-failure", "update c2 on-failure"});
  const auto parked = parked_states(fixture.directory.state(), "");
  REQUIRE(parked.size() == 1);
  REQUIRE(parked[0].replacements.size() == 1);
  const Replacement& back = parked[0].replacements[0];
  CHECK(back.old_id == "c9");
  CHECK(back.new_id == "c1");
  CHECK(back.restart_policy == always);
}

TEST_CASE("with directories that are not what was noted, it is unfinished and nothing is started") {
  RestoreFixture fixture;
  SUBCASE("exchanging") {
    fixture.record.phase = RestorePhase::exchanging;
  }
  SUBCASE("started") {
    fixture.record.phase = RestorePhase::started;
  }
  SUBCASE("proven") {
    fixture.record.phase = RestorePhase::proven;
  }
  const ExchangePair& pair = fixture.record.pairs[1];
  exchange(fixture.record.pairs[0]);
  fs::rename(pair.built, fixture.directory.temp / "aside");
  fs::create_directory(pair.built);
  const Thrown thrown = thrown_by([&] { fixture.end(); });
  CHECK(thrown.kind == ErrorKind::unfinished);
  CHECK(thrown.message == "restore of forgejo: " + pair.live + " and " + pair.built +
                              " are not the directories that the restore has noted");
  CHECK(contains(thrown.hint, "backup-before-apply recover"));
  CHECK(fixture.calls() == Lines{});
  CHECK(read_file(fixture.record.pairs[0].live + "/name") == "one.built");
  CHECK(parked_states(fixture.directory.state(), "").empty());
}

TEST_CASE("one that is proven but not exchanged is unfinished") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::proven;
  CHECK(thrown_by([&] { fixture.end(); }).kind == ErrorKind::unfinished);
  CHECK(fixture.calls() == Lines{});
  CHECK(fixture.names() == all_before);
}

TEST_CASE("parked states come newest first, of one module or of all") {
  const SetDirectory directory;
  CHECK(parked_states(directory.state(), "").empty());  // there is no such directory yet
  park(directory, parked_at(noon));
  park(directory, parked_at(noon + std::chrono::hours(2)));
  park(directory, parked_at(noon + std::chrono::hours(1)));
  park(directory, parked_at(noon + std::chrono::minutes(90), "gitea"));
  write_file(directory.state() + "/4711-1.journal", "not a parked state");
  const auto times = [&](const std::string& module) {
    std::vector<long> minutes;
    for (const ParkedState& one : parked_states(directory.state(), module)) {
      minutes.push_back(std::chrono::duration_cast<std::chrono::minutes>(one.time - noon).count());
    }
    return minutes;
  };
  CHECK(times("forgejo") == std::vector<long>{120, 60, 0});
  CHECK(times("gitea") == std::vector<long>{90});
  CHECK(times("") == std::vector<long>{120, 90, 60, 0});
  CHECK(times("other") == std::vector<long>{});
}

TEST_CASE("a file that does not say what is parked is an error, and not passed over") {
  const SetDirectory directory;
  park(directory, parked_at(noon));
  std::string path;
  for (const auto& one : fs::directory_iterator(directory.state())) path = one.path().string();
  REQUIRE(path.ends_with(".parked.json"));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777u) == 0600);
  const Json whole = *parse_json(read_file(path));
  Lines broken{"", "[]", "{", "{}"};
  for (const char* key : {"time", "places", "pairs"}) {
    Json lacking = whole;
    lacking.erase(key);
    broken.push_back(dump_json(lacking));
  }
  for (const std::string& text : broken) {
    CAPTURE(text);
    write_file(path, text);
    const Thrown thrown = thrown_by([&] { parked_states(directory.state(), "gitea"); });
    CHECK(thrown.kind == ErrorKind::storage);
    CHECK(thrown.message == path + " does not say what a restore has parked");
  }
}

TEST_CASE("a parked state is removed with its directories, its volumes and its file") {
  RestoreFixture fixture;
  fixture.record.phase = RestorePhase::proven;
  fixture.record.places[1] = {"/two", fixture.record.places[1].directory, "v1"};
  for (const ExchangePair& pair : fixture.record.pairs) exchange(pair);
  fixture.end();
  const auto parked = parked_states(fixture.directory.state(), "forgejo");
  REQUIRE(parked.size() == 1);
  remove_parked(fixture.engine, fixture.directory.state(), parked[0]);
  CHECK(fixture.calls() == started + Lines{"remove keeper", "remove v1"});
  // The engine removes the directory of its volume.
  CHECK(fixture.names() == Lines{"one.built", "gone", "two.built", "two"});
  CHECK(parked_states(fixture.directory.state(), "forgejo").empty());
  CHECK(fs::is_empty(fixture.directory.state()));
  const Thrown again =
      thrown_by([&] { remove_parked(fixture.engine, fixture.directory.state(), parked[0]); });
  CHECK_MESSAGE(!again.kind, again.message);
}

TEST_CASE("a parked state whose volume is in use keeps its file") {
  RestoreFixture fixture;
  fixture.fake.on("DELETE /volumes/v2", {send(answer(409, R"({"message":"volume is in use"})"))});
  ParkedState parked = parked_at(noon);
  parked.places = {{"/two", "", "v2"}};
  park(fixture.directory, parked);
  const Thrown thrown =
      thrown_by([&] { remove_parked(fixture.engine, fixture.directory.state(), parked); });
  REQUIRE(thrown.kind);
  CHECK(contains(thrown.message, "volume is in use"));
  CHECK(parked_states(fixture.directory.state(), "forgejo").size() == 1);
}

}  // namespace bba::run
