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

// Two containers, `aaa` and `bbb`, to be held still in that order.
struct Quiet {
  FakeEngine fake;
  BackupFixture world{fake.socket_path()};
  Cleanup cleanup{world.state(), fake.host()};
  service::Capture capture;
  int ran = 0;

  Quiet() {
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
    return while_quiet(world.session, cleanup, capture, [&] {
      ++ran;
      action();
    });
  }
  // What was done, in order.
  Lines deeds() const {
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

const Lines all_deeds{"aaa/pause", "bbb/pause", "bbb/unpause", "aaa/unpause"};

}  // namespace

TEST_CASE("paused in order, undone in reverse order, and each with its time") {
  Quiet quiet;
  quiet.both_run();
  const QuiesceOutcome quieted = quiet.run([&] {
    CHECK(quiet.deeds() == Lines{"aaa/pause", "bbb/pause"});
    CHECK(quiet.has("aaa", "one"));
    CHECK(quiet.has("bbb", "two"));
  });
  CHECK(quiet.deeds() == all_deeds);
  REQUIRE(quieted.records.size() == 2);
  CHECK(quieted.records[0].name == "one");
  CHECK(quieted.records[1].id == "bbb");
  CHECK(quieted.records[0].seconds >= quieted.records[1].seconds);
  CHECK(quieted.needs_hand == Lines{});
  CHECK_FALSE(quiet.has("aaa", "one"));
  CHECK_FALSE(quiet.has("bbb", "two"));
}

TEST_CASE("undone as well where the action fails, or the end was asked for") {
  Quiet quiet;
  quiet.both_run();
  SUBCASE("an error") {
    const Thrown error =
        thrown_by([&] { quiet.run([] { throw Error(ErrorKind::capture, "cut short"); }); });
    CHECK(error.message == "cut short");
  }
  SUBCASE("a signal") {
    const Thrown error = thrown_by([&] {
      quiet.run([&] {
        quiet.world.stop.request(SIGTERM);
        quiet.world.stop.throw_if_requested();
      });
    });
    CHECK(error.kind == ErrorKind::terminated);
  }
  CHECK(quiet.deeds() == all_deeds);
  CHECK_FALSE(quiet.has("aaa", "one"));
}

TEST_CASE("who is still already, stays so") {
  Quiet quiet;
  quiet.is("aaa", {state(true, true)});
  quiet.is("bbb", {state(false, false)});
  CHECK(quiet.run().records.empty());
  CHECK(quiet.ran == 1);
  CHECK(quiet.deeds() == Lines{});
}

TEST_CASE("a pause that a killed run has left is ended, and is not taken for the operator's") {
  Quiet quiet;
  quiet.is("aaa", {state(true, true), state(true, false), state(true, true)});
  quiet.is("bbb", {state(true, false), state(true, true)});
  put_journal(quiet.world, quiet.fake.host(), "aaa", "one");
  CHECK(quiet.run().records.size() == 2);
  Lines deeds = all_deeds;
  deeds.insert(deeds.begin(), "aaa/unpause");
  CHECK(quiet.deeds() == deeds);
  REQUIRE(quiet.world.reporter.warnings.size() == 1);
  CHECK(contains(quiet.world.reporter.warnings[0], "put right what it left: paused: one"));
}

TEST_CASE("one that cannot be paused: the action never runs, and the one before runs again") {
  Quiet quiet;
  quiet.capture.quiesce = {{"aaa", "one"}, {"ccc", "three"}};
  quiet.is("aaa", {state(true, false), state(true, true)});
  SUBCASE("refused outright: it is somebody else's, and not in the journal") {
    quiet.is("ccc", {state(true, false)});
    quiet.fake.on("POST /containers/ccc/pause",
                  {send(answer(409, R"({"message":"already paused"})"))});
    const Thrown error = thrown_by([&] { quiet.run(); });
    CHECK(contains(error.message, "pausing three: "));
    CHECK(contains(error.message, "already paused"));
    CHECK(quiet.deeds() == Lines{"aaa/pause", "ccc/pause", "aaa/unpause"});
  }
  SUBCASE("an answer that never came: it may be paused, so it is looked at") {
    quiet.is("ccc", {state(true, false), state(true, true)});
    quiet.fake.on("POST /containers/ccc/pause", {});
    quiet.fake.on("POST /containers/ccc/unpause", {send(answer(204, ""))});
    CHECK(thrown_by([&] { quiet.run(); }).kind == ErrorKind::engine);
    CHECK(quiet.deeds() == Lines{"aaa/pause", "ccc/pause", "ccc/unpause", "aaa/unpause"});
  }
  CHECK(quiet.ran == 0);
  CHECK_FALSE(quiet.has("aaa", "one"));
  CHECK_FALSE(quiet.has("ccc", "three"));
}

TEST_CASE("one that the engine cannot freeze at once is tried again, and not for ever") {
  Quiet quiet;
  quiet.capture.quiesce = {{"ccc", "three"}};
  const auto cannot = answer(500, R"({"message":"OCI runtime pause failed: unable to freeze"})");
  quiet.fake.on("POST /containers/ccc/unpause", {send(answer(204, ""))});
  SUBCASE("it can be frozen a moment later") {
    quiet.is("ccc", {state(true, false), state(true, false), state(true, true)});
    quiet.fake.on("POST /containers/ccc/pause", {send(cannot)});
    quiet.fake.on("POST /containers/ccc/pause", {send(answer(204, ""))});
    CHECK(quiet.run().records.size() == 1);
    CHECK(quiet.deeds() == Lines{"ccc/pause", "ccc/pause", "ccc/unpause"});
    CHECK(quiet.ran == 1);
  }
  SUBCASE("it was, whatever the engine said") {
    quiet.is("ccc", {state(true, false), state(true, true)});
    quiet.fake.on("POST /containers/ccc/pause", {send(cannot)});
    CHECK(quiet.run().records.size() == 1);
    CHECK(quiet.deeds() == Lines{"ccc/pause", "ccc/unpause"});
    CHECK(quiet.ran == 1);
  }
  SUBCASE("it never can") {
    quiet.is("ccc", {state(true, false)});
    quiet.fake.on("POST /containers/ccc/pause", {send(cannot)});
    CHECK(contains(thrown_by([&] { quiet.run(); }).message, "unable to freeze"));
    CHECK(quiet.fake.count("POST /containers/ccc/pause") == 5);
    CHECK(quiet.ran == 0);
  }
  CHECK_FALSE(quiet.has("ccc", "three"));
}

TEST_CASE("one that cannot be released needs a hand, stays in the journal, and hides no other") {
  Quiet quiet;
  quiet.capture.quiesce = {{"aaa", "one"}, {"ccc", "three"}};
  quiet.is("aaa", {state(true, false), state(true, true)});
  quiet.is("ccc", {state(true, false), state(true, true)});
  quiet.fake.on("POST /containers/ccc/pause", {send(answer(204, ""))});
  quiet.fake.on("POST /containers/ccc/unpause", {send(answer(500, R"({"message":"cgroup"})"))});
  const QuiesceOutcome quieted = quiet.run();
  REQUIRE(quieted.needs_hand.size() == 1);
  CHECK(contains(quieted.needs_hand[0], "three could not be unpaused: "));
  REQUIRE(quiet.world.reporter.warnings.size() == 1);
  CHECK(contains(quiet.world.reporter.warnings[0], "backup-before-apply recover"));
  CHECK(quiet.has("ccc", "three"));
  CHECK_FALSE(quiet.has("aaa", "one"));
  CHECK(quieted.records.size() == 1);
  quiet.cleanup.complete({store::CleanupKind::paused, "ccc", "three"});
}

TEST_CASE("stopped instead, where that is asked for, and started again") {
  Quiet quiet;
  quiet.capture.consistency = service::Consistency::stop;
  quiet.is("aaa", {state(true, false), state(false, false)});
  quiet.is("bbb", {state(true, false), state(false, false)});
  quiet.run([&] { CHECK(quiet.has("aaa", "one", store::CleanupKind::stopped)); });
  CHECK(quiet.deeds() == Lines{"aaa/stop", "bbb/stop", "bbb/start", "aaa/start"});
}

TEST_CASE("what the engine would remove when it stops is not stopped") {
  Quiet quiet;
  quiet.capture.consistency = service::Consistency::stop;
  const Json inspected{{"Id", "x"},
                       {"Name", "/x"},
                       {"Image", "sha256:aaaa"},
                       {"State", {{"Running", true}, {"Paused", false}}},
                       {"HostConfig", {{"AutoRemove", true}}},
                       {"Config", {{"Image", "img:1"}}}};
  quiet.is("aaa", {{send(answer(200, dump_json(inspected)))}});
  const auto refused = thrown_by([&] { quiet.run(); });
  CHECK(refused.kind == ErrorKind::container);
  CHECK(contains(refused.message, "--rm"));
  CHECK(quiet.deeds() == Lines{});
  CHECK(quiet.ran == 0);
}

TEST_CASE("a container that another run holds still is waited for") {
  Quiet quiet;
  quiet.both_run();
  std::optional<store::ModuleLock> other(std::in_place, quiet.world.state(), "container-bbb");
  class Operator : public RecordingReporter {
   public:
    void note(const std::string& text) override {
      RecordingReporter::note(text);
      on_note();
    }
    std::function<void()> on_note;
  } reporter;
  reporter.on_note = [&] {
    CHECK(quiet.deeds() == Lines{});
    other.reset();
  };
  Session session{quiet.world.session.settings, quiet.world.stop, reporter,
                  docker::Engine(quiet.fake.socket_path(), {}, &quiet.world.stop)};
  while_quiet(session, quiet.cleanup, quiet.capture, [] {});
  CHECK(reporter.notes == Lines{"waiting for another run to release two"});
  CHECK(quiet.deeds() == all_deeds);
}

TEST_CASE("the wait for another run ends with the time limit") {
  Quiet quiet;
  quiet.both_run();
  const store::ModuleLock other(quiet.world.state(), "container-bbb");
  quiet.world.stop.set_time_limit(std::chrono::seconds(0));
  CHECK(thrown_by([&] { quiet.run(); }).kind == ErrorKind::timeout);
  CHECK(quiet.ran == 0);
  CHECK(quiet.deeds() == Lines{});
}

}  // namespace bba::run
