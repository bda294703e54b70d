// Restores during which dockerd is killed and started again. Where an engine starts, it starts the
// containers that are to be restarted always: never on directories that are half exchanged.
#include <csignal>

#include "e2e/private_engine.hpp"
#include "e2e/restore_support.hpp"

namespace e2e {

TEST_CASE("restore, dockerd is killed and started: the state before or the finished one") {
  NEEDS_ENGINE();
  PrivateEngine engine;
  struct Point {
    const char* what;
    const char* request;  // about to be sent when dockerd is killed
    bool answered;        // or what the engine has just done
    bool proven;
    bool restarts;  // the engine, when it starts, starts the service
    bool guard_lives;
  };
  for (const Point& point :
       {Point{"while it is built", "/archive?", false, false, true, true},
        Point{"once the service is stopped", "/stop?", true, false, false, false},
        Point{"between exchange and start", "/start", false, false, false, false},
        Point{"between exchange and start", "/start", false, false, false, true},
        Point{"once it is proven", "\"Name\":\"always\"", false, true, false, false}}) {
    CAPTURE(point.what);
    CAPTURE(point.guard_lives);
    E2eFixture fixture;
    // Ends when it is asked to: its image has no signal of its own for that.
    const Strings command{"sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait"};
    const FileService service(fixture, command, PrivateEngine::image);
    Relay relay(fixture);
    Process run = stalled(relay, {"restore", service.module, "--yes"}, point.request);
    if (point.answered) {
      relay.release_and_hold_answer();
      wait_until("the engine has done it", 60s, [&] { return relay.holds_answer(); });
    }
    if (!point.guard_lives) {
      const auto guard = fixture.guard();
      REQUIRE(guard);
      ::kill(*guard, SIGKILL);
    }
    engine.kill();
    relay.release();
    const Ended ended = run.wait();
    CAPTURE(ended.err);
    CHECK(ended.exit_code == 12);
    CHECK(has(ended.err, "hint: "));
    CHECK(fixture.journals().size() == 1);
    if (!point.guard_lives) {
      CHECK(fixture.bba({"recover"}).exit_code == 12);  // there is no engine
    }
    engine.start();
    if (!point.guard_lives) {
      CHECK(service.runs() == point.restarts);
      const Ended recovered = fixture.bba({"recover"});
      CAPTURE(recovered.err);
      CHECK(recovered.exit_code == 0);
      CHECK(has(recovered.out, point.proven ? "finished" : "undone"));
    }
    // A guard waits a little longer after each try.
    fixture.wait_for_guard_to_end();
    CHECK(fixture.journals() == Strings{});
    CHECK(difference(point.proven ? service.old_state : service.new_state, service.now()) == "");
    CHECK(service.runs());
    // The container sees what is there.
    CHECK(shell(service.module, "cat /data/a") == (point.proven ? "old" : "new"));
    CHECK(restart_policy(service.module) == "always");
  }
}

}  // namespace e2e
