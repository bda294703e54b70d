#include <doctest/doctest.h>

#include "bba/restore/exchange_service.hpp"
#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::restore {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;

Json mount(const std::string& source, bool rw = true, const std::string& type = "bind") {
  return Json{{"Type", type}, {"Source", source}, {"Destination", "/x"}, {"RW", rw}};
}

// The service `db`, and others on the same engine.
struct UsersFixture {
  UsersFixture() {
    service.id = "db";
    service.name = "postgres";
    service.running = true;
    service.host_config = Json{{"RestartPolicy", {{"Name", "always"}}}};
    add("db", {mount("/srv/data")});
  }

  void add(const std::string& id, const std::vector<Json>& mounts,
           const std::string& state = "running", const Json& host_config = Json::object(),
           const Json& labels = Json::object()) {
    list.push_back(Json{{"Id", id},
                        {"Names", Json::array({"/name-of-" + id})},
                        {"State", state},
                        {"Labels", labels},
                        {"Mounts", mounts}});
    fake.on("GET /containers/" + id + "/json",
            {send(answer(200, dump_json(Json{{"Id", id},
                                             {"Name", "/name-of-" + id},
                                             {"State",
                                              {{"Running", state != "exited"},
                                               {"Paused", state == "paused"},
                                               {"Status", state}}},
                                             {"HostConfig", host_config},
                                             {"Mounts", mounts}})))});
  }
  std::vector<run::HeldContainer> users() {
    fake.on("GET /containers/json", {send(answer(200, dump_json(list)))});
    docker::Engine engine(fake.socket_path(), {}, nullptr);
    return users_of(engine, {&service}, {"/srv/data", "/srv/more"});
  }
  Lines ids() {
    Lines ids;
    for (const run::HeldContainer& held : users()) ids.push_back(held.id);
    return ids;
  }

  FakeEngine fake;
  wire::Container service;
  Json list = Json::array();
};

}  // namespace

TEST_CASE("the service comes first, and is one of its users only once") {
  UsersFixture fixture;
  fixture.add("web", {mount("/srv/data")}, "exited",
              Json{{"RestartPolicy", {{"Name", "on-failure"}, {"MaximumRetryCount", 3}}}});
  const auto users = fixture.users();
  REQUIRE(users.size() == 2);
  CHECK(users[0].id == "db");
  CHECK(users[0].name == "postgres");
  CHECK(users[0].ran);
  CHECK(users[0].restart_policy == Json{{"Name", "always"}});
  CHECK(users[1].id == "web");
  CHECK(users[1].name == "name-of-web");
  CHECK_FALSE(users[1].ran);
  CHECK(users[1].restart_policy == Json{{"Name", "on-failure"}, {"MaximumRetryCount", 3}});
}

TEST_CASE("a user has a mount at a directory, below it, or above it where it can write") {
  UsersFixture fixture;
  fixture.add("same", {mount("/etc"), mount("/srv/more")});
  fixture.add("below", {mount("/srv/data/deep/er", false)});
  fixture.add("above", {mount("/srv")});
  fixture.add("reads-above", {mount("/srv", false)});
  fixture.add("beside", {mount("/srv/data2"), mount("/srv/other")});
  fixture.add("in-memory", {mount("/srv/data", true, "tmpfs")});
  fixture.add("none", {});
  CHECK(fixture.ids() == Lines{"db", "same", "below", "above"});
}

TEST_CASE("what lives in a namespace of the service is a user while it is up") {
  UsersFixture fixture;
  fixture.add("net", {}, "running", Json{{"NetworkMode", "container:db"}});
  fixture.add("pid", {}, "running", Json{{"PidMode", "container:postgres"}});
  fixture.add("ipc", {}, "running", Json{{"IpcMode", "container:db"}});
  fixture.add("own", {}, "running", Json{{"NetworkMode", "bridge"}, {"PidMode", "host"}});
  fixture.add("of-another", {}, "running", Json{{"NetworkMode", "container:web"}});
  fixture.add("ended", {}, "exited", Json{{"NetworkMode", "container:db"}});
  CHECK(fixture.ids() == Lines{"db", "net", "pid", "ipc"});
}

TEST_CASE("what a restore itself has made is no user, nor is what has just gone") {
  UsersFixture fixture;
  fixture.add("keeper", {mount("/srv/data")}, "created", Json::object(), Json{{"bba.parked", "x"}});
  fixture.add("scratch", {mount("/srv/data")}, "running", Json::object(),
              Json{{"bba.scratch", "x"}});
  fixture.list.push_back(
      Json{{"Id", "gone"}, {"State", "running"}, {"Mounts", Json::array({mount("/srv/data")})}});
  CHECK(fixture.ids() == Lines{"db"});
}

TEST_CASE("without a restart policy a container has none") {
  UsersFixture fixture;
  fixture.service.host_config = Json::object();
  CHECK(fixture.users().at(0).restart_policy == Json{{"Name", "no"}});
}

TEST_CASE("a user that cannot be stopped and started again is refused") {
  UsersFixture fixture;
  SUBCASE("it is paused") {
    fixture.add("web", {mount("/srv/data")}, "paused");
    const Thrown thrown = thrown_by([&] { fixture.users(); });
    CHECK(thrown.kind == ErrorKind::container);
    CHECK(thrown.message == "name-of-web is paused: it cannot be stopped");
    CHECK(thrown.hint == "docker unpause name-of-web");
  }
  SUBCASE("the engine removes it") {
    fixture.add("web", {mount("/srv/data")}, "running", Json{{"AutoRemove", true}});
    const Thrown thrown = thrown_by([&] { fixture.users(); });
    CHECK(thrown.kind == ErrorKind::container);
    CHECK(contains(thrown.message, "name-of-web was started with --rm"));
  }
  SUBCASE("the service itself is paused") {
    fixture.service.paused = true;
    CHECK(thrown_by([&] { fixture.users(); }).kind == ErrorKind::container);
  }
  SUBCASE("others do not matter") {
    fixture.add("other", {mount("/etc")}, "paused", Json{{"AutoRemove", true}});
    CHECK(fixture.ids() == Lines{"db"});
  }
}

}  // namespace bba::restore
