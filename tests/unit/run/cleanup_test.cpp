#include "bba/run/cleanup.hpp"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

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

constexpr const char* unpause = "POST /containers/c1/unpause";
const store::JournalEntry kuma_paused{store::CleanupKind::paused, "c1", "kuma"};

std::string state_json(bool running, bool paused) {
  return answer(200, dump_json(Json{{"Id", "c1"},
                                    {"Name", "/kuma"},
                                    {"Image", "sha256:aaaa"},
                                    {"State", {{"Running", running}, {"Paused", paused}}},
                                    {"Config", {{"Image", "img:1"}}}}));
}

void is_paused(FakeEngine& fake) {
  fake.on("GET /containers/c1/json", {send(state_json(true, true))});
  fake.on(unpause, {send(answer(204, ""))});
}

}  // namespace

TEST_CASE("a dead run's cleanup is done at the engine that its journal names") {
  FakeEngine mine;
  FakeEngine other;
  BackupFixture fixture(mine.socket_path());
  is_paused(other);
  const std::string journal = put_journal(fixture, other.host(), "c1", "kuma");
  const RecoverOutcome recovered = recover(fixture.session);
  CHECK(recovered.done == Lines{"paused: kuma"});
  CHECK(recovered.failed == Lines{});
  CHECK(other.count(unpause) == 1);
  CHECK(mine.requests().empty());
  CHECK_FALSE(std::filesystem::exists(journal));
}

TEST_CASE("where that engine does not answer, the journal stays, and no other engine is asked") {
  FakeEngine mine;
  BackupFixture fixture(mine.socket_path());
  const std::string gone = fixture.temp / "gone.sock";
  const std::string journal = put_journal(fixture, "unix://" + gone, "c1", "kuma");
  const std::string odd = put_journal(fixture, "tcp://10.0.0.1:2375", "c1", "kuma");
  const RecoverOutcome recovered = recover(fixture.session);
  CHECK(recovered.done == Lines{});
  REQUIRE(recovered.failed.size() == 2);
  CHECK(contains(recovered.failed[0] + recovered.failed[1], "paused: kuma: "));
  CHECK(contains(recovered.failed[0] + recovered.failed[1], gone));
  CHECK(contains(recovered.failed[0] + recovered.failed[1], "tcp://10.0.0.1:2375"));
  CHECK(mine.requests().empty());
  CHECK(std::filesystem::exists(journal));
  CHECK(std::filesystem::exists(odd));
}

TEST_CASE("a container that is gone from its own engine needs no cleanup") {
  FakeEngine fake;
  BackupFixture fixture(fake.socket_path());
  const std::string journal = put_journal(fixture, fake.host(), "c1", "kuma");
  CHECK(recover(fixture.session).done == Lines{"paused: kuma"});
  CHECK_FALSE(std::filesystem::exists(journal));
}

TEST_CASE("a journal that cannot be read is reported, and the others are still undone") {
  FakeEngine fake;
  BackupFixture fixture(fake.socket_path());
  is_paused(fake);
  const std::string journal = put_journal(fixture, fake.host(), "c1", "kuma");
  const std::string damaged = fixture.state() + "/1-1.journal";
  std::filesystem::create_directory(damaged);
  const RecoverOutcome recovered = recover(fixture.session);
  CHECK(recovered.done == Lines{"paused: kuma"});
  REQUIRE(recovered.failed.size() == 1);
  CHECK(contains(recovered.failed[0], damaged + ": Is a directory: "));
  CHECK_FALSE(std::filesystem::exists(journal));
}

TEST_CASE("a scratch container whose creation was not confirmed is looked for again, for an hour") {
  FakeEngine fake;
  BackupFixture fixture(fake.socket_path());
  store::OwnedDirectory::open_or_create(fixture.state());
  const std::string journal = fixture.state() + "/" + std::to_string(dead_process()) + "-1.journal";
  write_file(journal, dump_json(Json{{"host", fake.host()}}) + "\n" +
                          R"({"owe":"scratch","id":"bba-drill-x","name":"bba-drill-x"})");
  const RecoverOutcome first = recover(fixture.session);
  CHECK(first.waiting == Lines{"scratch: bba-drill-x"});
  CHECK(first.done == Lines{});
  CHECK(first.failed == Lines{});
  REQUIRE(std::filesystem::exists(journal));
  SUBCASE("and is removed once it is there") {
    fake.on("GET /containers/bba-drill-x/json", {send(state_json(false, false))});
    fake.on("DELETE /containers/bba-drill-x", {send(answer(204, ""))});
    CHECK(recover(fixture.session).done == Lines{"scratch: bba-drill-x"});
    CHECK(fake.count("DELETE /containers/bba-drill-x") == 1);
  }
  SUBCASE("and was never created") {
    std::filesystem::last_write_time(
        journal, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(61));
    CHECK(recover(fixture.session).done == Lines{"scratch: bba-drill-x"});
  }
  CHECK_FALSE(std::filesystem::exists(journal));
}

TEST_CASE("a guard that is still cleaning up is waited for, and the operator is told") {
  FakeEngine fake;
  BackupFixture fixture(fake.socket_path());
  const std::string journal = put_journal(fixture, fake.host(), "c1", "kuma");
  // The guard has the lock, and releases it, with everything undone, once the operator was told.
  Fd guard(::open(journal.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::flock(guard.get(), LOCK_EX) == 0);
  class Operator : public RecordingReporter {
   public:
    void note(const std::string& text) override {
      RecordingReporter::note(text);
      on_note();
    }
    std::function<void()> on_note;
  } reporter;
  Session session{fixture.session.settings, fixture.stop, reporter,
                  docker::Engine(fake.socket_path(), {}, &fixture.stop)};

  SUBCASE("until it has undone all") {
    reporter.on_note = [&] {
      std::filesystem::remove(journal);
      guard.reset();
    };
    const RecoverOutcome recovered = recover(session);
    CHECK(recovered.done == Lines{});
    CHECK(recovered.failed == Lines{});
  }
  SUBCASE("or until it has died, too") {
    is_paused(fake);
    reporter.on_note = [&] { guard.reset(); };
    CHECK(recover(session).done == Lines{"paused: kuma"});
    CHECK(fake.count(unpause) == 1);
  }
  SUBCASE("or until a request to stop comes") {
    reporter.on_note = [&] { fixture.stop.request(SIGTERM); };
    CHECK(thrown_by([&] { recover(session); }).kind == ErrorKind::terminated);
    CHECK(std::filesystem::exists(journal));
  }
  REQUIRE(reporter.notes.size() == 1);
  CHECK(contains(reporter.notes[0], "waiting for the guard"));
}

TEST_CASE("the journal of a live run is left alone") {
  FakeEngine fake;
  BackupFixture fixture(fake.socket_path());
  const std::string journal = put_journal(fixture, fake.host(), "c1", "kuma", ::getpid());
  const Fd run(::open(journal.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::flock(run.get(), LOCK_EX) == 0);
  const RecoverOutcome recovered = recover(fixture.session);
  CHECK(recovered.done == Lines{});
  CHECK(recovered.failed == Lines{});
  CHECK(fixture.reporter.notes == Lines{});
  CHECK(fake.requests().empty());
}

TEST_CASE(
    "a container whose stop is still under way is started after it has stopped, and not before") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  constexpr const char* start = "POST /containers/c1/start";
  fake.on("GET /containers/c1/json", {send(state_json(true, false))});
  fake.on("GET /containers/c1/json", {send(state_json(true, false))});
  fake.on("GET /containers/c1/json", {send(state_json(false, false))});
  fake.on(start, {send(answer(204, ""))});
  undo(engine, {store::CleanupKind::stopped, "c1", "kuma"});
  CHECK(fake.count("GET /containers/c1/json") == 3);
  CHECK(fake.count(start) == 1);
}

TEST_CASE("a 404 for a container that exists completes no entry") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on("GET /containers/c1/json", {send(state_json(false, false))});
  fake.on("POST /containers/c1/start",
          {send(answer(404, R"({"message":"network core_default not found"})"))});
  const auto failed = thrown_by([&] { undo(engine, {store::CleanupKind::stopped, "c1", "kuma"}); });
  CHECK(failed.kind == ErrorKind::container);
  CHECK(contains(failed.message, "network core_default not found"));
}

TEST_CASE("a pause that is still under way is waited for, and one that never came needs no undo") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on("GET /containers/c1/json", {send(state_json(true, false))});
  SUBCASE("it comes") {
    fake.on("GET /containers/c1/json", {send(state_json(true, false))});
    fake.on("GET /containers/c1/json", {send(state_json(true, true))});
    fake.on(unpause, {send(answer(204, ""))});
    undo(engine, kuma_paused);
    CHECK(fake.count(unpause) == 1);
  }
  SUBCASE("it does not") {
    undo(engine, kuma_paused);
    CHECK(fake.count(unpause) == 0);
  }
}

TEST_CASE("a container that has exited is not unpaused, and one that was stopped is started") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on("GET /containers/c1/json", {send(state_json(false, false))});
  undo(engine, kuma_paused);
  CHECK(fake.count(unpause) == 0);
  fake.on("POST /containers/c1/start", {send(answer(204, ""))});
  undo(engine, {store::CleanupKind::stopped, "c1", "kuma"});
  CHECK(fake.count("POST /containers/c1/start") == 1);
}

TEST_CASE("an engine that refuses is asked again, four times in all") {
  FakeEngine fake;
  docker::Engine engine(fake.socket_path(), {}, nullptr);
  fake.on("GET /containers/c1/json", {send(state_json(true, true))});
  fake.on(unpause, {send(answer(500, R"({"message":"busy"})"))});
  SUBCASE("until it succeeds") {
    fake.on(unpause, {send(answer(204, ""))});
    undo(engine, kuma_paused);
    CHECK(fake.count(unpause) == 2);
  }
  SUBCASE("and never succeeds") {
    CHECK(contains(thrown_by([&] { undo(engine, kuma_paused); }).message, "busy"));
    CHECK(fake.count(unpause) == 4);
  }
}

TEST_CASE("an entry is in the journal before the action, and removed once the action is undone") {
  BackupFixture fixture;
  Cleanup cleanup(fixture.state(), "unix:///s");
  CHECK_FALSE(cleanup.has(kuma_paused));
  cleanup.record(kuma_paused);
  CHECK(cleanup.has(kuma_paused));
  const auto journals = names_in(fixture.state());
  REQUIRE(journals.size() == 1);
  const std::string text = read_file(fixture.state() + "/" + journals[0]);
  CHECK(contains(text, "unix:///s"));
  CHECK(contains(text, R"("owe":"paused","id":"c1","name":"kuma")"));
  cleanup.complete(kuma_paused);
  CHECK_FALSE(cleanup.has(kuma_paused));
  CHECK_FALSE(contains(read_file(fixture.state() + "/" + journals[0]), "c1"));
}

}  // namespace bba::run
