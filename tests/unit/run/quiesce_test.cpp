#include "bba/run/quiesce.hpp"

#include <csignal>
#include <optional>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/store/lock.hpp"
#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::run {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;

bba::test::Reply state(bool running, bool paused) {
  return {send(answer(200, dump_json(Json{{"Id", "x"},
                                          {"Name", "/x"},
                                          {"Image", "sha256:aaaa"},
                                          {"State", {{"Running", running}, {"Paused", paused}}},
                                          {"Config", {{"Image", "img:1"}}}})))};
}

// Two containers, `aaa` and `bbb`, to be paused in that order.
struct QuiesceFixture {
  FakeEngine fake;
  BackupFixture backup_fixture{fake.socket_path()};
  Cleanup cleanup{backup_fixture.state(), fake.host()};
  service::Capture capture;
  int ran = 0;

  QuiesceFixture() {
    capture.consistency = service::Consistency::pause;
    capture.quiesce = {{"aaa", "one"}, {"bbb", "two"}};
    for (const char* verb : {"pause", "unpause", "stop", "start"}) {
      for (const char* id : {"aaa", "bbb"}) {
        fake.on(fmt::format("POST /containers/{}/{}", id, verb), {send(answer(204, ""))});
      }
    }
  }
  void is(const std::string& id, std::vector<bba::test::Reply> states) {
    for (auto& one : states) fake.on("GET /containers/" + id + "/json", std::move(one));
  }
  void both_run() {
    is("aaa", {state(true, false), state(true, true)});
    is("bbb", {state(true, false), state(true, true)});
  }
  QuiesceOutcome run(const std::function<void()>& action = [] {}) {
    return while_quiet(backup_fixture.session, cleanup, capture, [&] {
      ++ran;
      action();
    });
  }
  // The requests that changed a container, in order.
  Lines calls() const {
    Lines lines;
    for (const auto& seen : fake.requests()) {
      if (seen.method != "POST") continue;
      const std::string path = seen.target.substr(0, seen.target.find('?'));
      lines.push_back(path.substr(path.find("/containers/") + 12));
    }
    return lines;
  }
  bool has(const std::string& id, const std::string& name,
           store::CleanupKind entry = store::CleanupKind::paused) const {
    return cleanup.has({entry, id, name});
  }
};

const Lines all_calls{"aaa/pause", "bbb/pause", "bbb/unpause", "aaa/unpause"};

}  // namespace

TEST_CASE("containers are paused in order, unpaused in reverse order, and each pause is timed") {
  QuiesceFixture fixture;
  fixture.both_run();
  const QuiesceOutcome quieted = fixture.run([&] {
    CHECK(fixture.calls() == Lines{"aaa/pause", "bbb/pause"});
    CHECK(fixture.has("aaa", "one"));
    CHECK(fixture.has("bbb", "two"));
  });
  CHECK(fixture.calls() == all_calls);
  REQUIRE(quieted.records.size() == 2);
  CHECK(quieted.records[0].name == "one");
  CHECK(quieted.records[1].id == "bbb");
  CHECK(quieted.records[0].seconds >= quieted.records[1].seconds);
  CHECK(quieted.needs_hand == Lines{});
  CHECK_FALSE(fixture.has("aaa", "one"));
  CHECK_FALSE(fixture.has("bbb", "two"));
}

TEST_CASE("containers are unpaused where the action fails, or a stop was requested") {
  QuiesceFixture fixture;
  fixture.both_run();
  SUBCASE("an error") {
    const Thrown error =
        thrown_by([&] { fixture.run([] { throw Error(ErrorKind::capture, "cut short"); }); });
    CHECK(error.message == "cut short");
  }
  SUBCASE("a signal") {
    const Thrown error = thrown_by([&] {
      fixture.run([&] {
        fixture.backup_fixture.stop.request(SIGTERM);
        fixture.backup_fixture.stop.throw_if_requested();
      });
    });
    CHECK(error.kind == ErrorKind::terminated);
  }
  CHECK(fixture.calls() == all_calls);
  CHECK_FALSE(fixture.has("aaa", "one"));
}

TEST_CASE("a container that is already paused or stopped stays so") {
  QuiesceFixture fixture;
  fixture.is("aaa", {state(true, true)});
  fixture.is("bbb", {state(false, false)});
  CHECK(fixture.run().records.empty());
  CHECK(fixture.ran == 1);
  CHECK(fixture.calls() == Lines{});
}

TEST_CASE("a pause that a killed run has left is undone, and is not taken for the operator's") {
  QuiesceFixture fixture;
  fixture.is("aaa", {state(true, true), state(true, false), state(true, true)});
  fixture.is("bbb", {state(true, false), state(true, true)});
  put_journal(fixture.backup_fixture, fixture.fake.host(), "aaa", "one");
  CHECK(fixture.run().records.size() == 2);
  Lines calls = all_calls;
  calls.insert(calls.begin(), "aaa/unpause");
  CHECK(fixture.calls() == calls);
  REQUIRE(fixture.backup_fixture.reporter.warnings.size() == 1);
  CHECK(
      contains(fixture.backup_fixture.reporter.warnings[0], "put right what it left: paused: one"));
}

TEST_CASE("where one cannot be paused, the action never runs, and the one before is unpaused") {
  QuiesceFixture fixture;
  fixture.capture.quiesce = {{"aaa", "one"}, {"ccc", "three"}};
  fixture.is("aaa", {state(true, false), state(true, true)});
  SUBCASE("refused by the engine: somebody else has paused it, and it is not undone") {
    fixture.is("ccc", {state(true, false)});
    fixture.fake.on("POST /containers/ccc/pause",
                    {send(answer(409, R"({"message":"already paused"})"))});
    const Thrown error = thrown_by([&] { fixture.run(); });
    CHECK(contains(error.message, "pausing three: "));
    CHECK(contains(error.message, "already paused"));
    CHECK(fixture.calls() == Lines{"aaa/pause", "ccc/pause", "aaa/unpause"});
  }
  SUBCASE("no answer: it may be paused, so its state is looked up") {
    fixture.is("ccc", {state(true, false), state(true, true)});
    fixture.fake.on("POST /containers/ccc/pause", {});
    fixture.fake.on("POST /containers/ccc/unpause", {send(answer(204, ""))});
    CHECK(thrown_by([&] { fixture.run(); }).kind == ErrorKind::engine);
    CHECK(fixture.calls() == Lines{"aaa/pause", "ccc/pause", "ccc/unpause", "aaa/unpause"});
  }
  CHECK(fixture.ran == 0);
  CHECK_FALSE(fixture.has("aaa", "one"));
  CHECK_FALSE(fixture.has("ccc", "three"));
}

TEST_CASE("a container that the engine cannot freeze at once is tried again for a limited time") {
  QuiesceFixture fixture;
  fixture.capture.quiesce = {{"ccc", "three"}};
  const auto cannot = answer(500, R"({"message":"OCI runtime pause failed: unable to freeze"})");
  fixture.fake.on("POST /containers/ccc/unpause", {send(answer(204, ""))});
  SUBCASE("it can be frozen a moment later") {
    fixture.is("ccc", {state(true, false), state(true, false), state(true, true)});
    fixture.fake.on("POST /containers/ccc/pause", {send(cannot)});
    fixture.fake.on("POST /containers/ccc/pause", {send(answer(204, ""))});
    CHECK(fixture.run().records.size() == 1);
    CHECK(fixture.calls() == Lines{"ccc/pause", "ccc/pause", "ccc/unpause"});
    CHECK(fixture.ran == 1);
  }
  SUBCASE("it was frozen, whatever the engine said") {
    fixture.is("ccc", {state(true, false), state(true, true)});
    fixture.fake.on("POST /containers/ccc/pause", {send(cannot)});
    CHECK(fixture.run().records.size() == 1);
    CHECK(fixture.calls() == Lines{"ccc/pause", "ccc/unpause"});
    CHECK(fixture.ran == 1);
  }
  SUBCASE("it can never be frozen") {
    fixture.is("ccc", {state(true, false)});
    fixture.fake.on("POST /containers/ccc/pause", {send(cannot)});
    CHECK(contains(thrown_by([&] { fixture.run(); }).message, "unable to freeze"));
    CHECK(fixture.fake.count("POST /containers/ccc/pause") == 5);
    CHECK(fixture.ran == 0);
  }
  CHECK_FALSE(fixture.has("ccc", "three"));
}

TEST_CASE(
    "a container that cannot be unpaused is reported, stays in the journal, and hides no other") {
  QuiesceFixture fixture;
  fixture.capture.quiesce = {{"aaa", "one"}, {"ccc", "three"}};
  fixture.is("aaa", {state(true, false), state(true, true)});
  fixture.is("ccc", {state(true, false), state(true, true)});
  fixture.fake.on("POST /containers/ccc/pause", {send(answer(204, ""))});
  fixture.fake.on("POST /containers/ccc/unpause", {send(answer(500, R"({"message":"cgroup"})"))});
  const QuiesceOutcome quieted = fixture.run();
  REQUIRE(quieted.needs_hand.size() == 1);
  CHECK(contains(quieted.needs_hand[0], "three could not be unpaused: "));
  REQUIRE(fixture.backup_fixture.reporter.warnings.size() == 1);
  CHECK(contains(fixture.backup_fixture.reporter.warnings[0], "backup-before-apply recover"));
  CHECK(fixture.has("ccc", "three"));
  CHECK_FALSE(fixture.has("aaa", "one"));
  CHECK(quieted.records.size() == 1);
  fixture.cleanup.complete({store::CleanupKind::paused, "ccc", "three"});
}

TEST_CASE("containers are stopped instead where that is asked for, and started again") {
  QuiesceFixture fixture;
  fixture.capture.consistency = service::Consistency::stop;
  fixture.is("aaa", {state(true, false), state(false, false)});
  fixture.is("bbb", {state(true, false), state(false, false)});
  fixture.run([&] { CHECK(fixture.has("aaa", "one", store::CleanupKind::stopped)); });
  CHECK(fixture.calls() == Lines{"aaa/stop", "bbb/stop", "bbb/start", "aaa/start"});
}

TEST_CASE("a container that the engine would remove when it stops is not stopped") {
  QuiesceFixture fixture;
  fixture.capture.consistency = service::Consistency::stop;
  const Json inspected{{"Id", "x"},
                       {"Name", "/x"},
                       {"Image", "sha256:aaaa"},
                       {"State", {{"Running", true}, {"Paused", false}}},
                       {"HostConfig", {{"AutoRemove", true}}},
                       {"Config", {{"Image", "img:1"}}}};
  fixture.is("aaa", {{send(answer(200, dump_json(inspected)))}});
  const auto refused = thrown_by([&] { fixture.run(); });
  CHECK(refused.kind == ErrorKind::container);
  CHECK(contains(refused.message, "--rm"));
  CHECK(fixture.calls() == Lines{});
  CHECK(fixture.ran == 0);
}

TEST_CASE("a container that another run has paused is waited for") {
  QuiesceFixture fixture;
  fixture.both_run();
  std::optional<store::ModuleLock> other(std::in_place, fixture.backup_fixture.state(),
                                         "container-bbb");
  class Operator : public RecordingReporter {
   public:
    void note(const std::string& text) override {
      RecordingReporter::note(text);
      on_note();
    }
    std::function<void()> on_note;
  } reporter;
  reporter.on_note = [&] {
    CHECK(fixture.calls() == Lines{});
    other.reset();
  };
  Session session{fixture.backup_fixture.session.settings, fixture.backup_fixture.stop, reporter,
                  docker::Engine(fixture.fake.socket_path(), {}, &fixture.backup_fixture.stop)};
  while_quiet(session, fixture.cleanup, fixture.capture, [] {});
  CHECK(reporter.notes == Lines{"waiting for another run to release two"});
  CHECK(fixture.calls() == all_calls);
}

TEST_CASE("the wait for another run ends with the time limit") {
  QuiesceFixture fixture;
  fixture.both_run();
  const store::ModuleLock other(fixture.backup_fixture.state(), "container-bbb");
  fixture.backup_fixture.stop.set_time_limit(std::chrono::seconds(0));
  CHECK(thrown_by([&] { fixture.run(); }).kind == ErrorKind::timeout);
  CHECK(fixture.ran == 0);
  CHECK(fixture.calls() == Lines{});
}

}  // namespace bba::run
