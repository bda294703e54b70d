#include "bba/restore/scratch.hpp"

#include <csignal>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::restore {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;

// A drill of module kuma, up to its scratch container "s1" on a scripted engine.
struct DrillFixture {
  DrillFixture() {
    manifest.module = "kuma";
    live.id = "c1";
    live.env = {"PATH=/bin", "SECRET=live", "DROPPED=1", "CHANGED=old"};
    live.config = {{"Entrypoint", {"/entry"}},
                   {"Cmd", {"serve", "--fast"}},
                   {"User", "1000"},
                   {"WorkingDir", "/srv"},
                   {"ExposedPorts", {{"80/tcp", Json::object()}}}};
    live.host_config = {{"Binds", {"/etc:/etc"}},
                        {"NetworkMode", "host"},
                        {"Privileged", true},
                        {"CapAdd", {"SYS_ADMIN"}},
                        {"PortBindings", {{"80/tcp", Json::array()}}},
                        {"RestartPolicy", {{"Name", "always"}}},
                        {"ShmSize", 1234},
                        {"Tmpfs", {{"/run", "size=1m"}}},
                        {"Ulimits", nullptr}};
  }

  void is_made() { fake.on("POST /containers/create", {send(answer(201, R"({"Id":"s1"})"))}); }
  void is_there(bool running = true) {
    fake.on("GET /containers/s1/json",
            {send(answer(200, dump_json(Json{{"Id", "s1"},
                                             {"Name", "/scratch"},
                                             {"Image", "sha256:aaaa"},
                                             {"State", {{"Running", running}}},
                                             {"Config", {{"Image", "img:1"}}}})))});
    fake.on("DELETE /containers/s1", {send(answer(204, ""))});
  }

  FakeEngine fake;
  BackupFixture world{fake.socket_path()};
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(world.backups());
  run::Cleanup cleanup{world.state(), fake.host()};
  store::Manifest manifest;
  wire::Container live;
  Lines needs_hand;
  ScratchContext context{world.session, cleanup,         directory, manifest,
                         live,          "sha256:backed", 64 << 20,  needs_hand};
};

Json only_create(const FakeEngine& fake) {
  return *parse_json(fake.last("POST /containers/create").body);
}

std::string name_of_scratch(const FakeEngine& fake) {
  const std::string target = fake.last("POST /containers/create").target;
  const std::string name = target.substr(target.find("name=") + 5);
  return name.substr(0, name.find('&'));
}

}  // namespace

TEST_CASE("a scratch container is the live one without the world around it") {
  DrillFixture bench;
  bench.is_made();
  bench.is_there();
  service::FreshTarget spec;
  spec.volumes = {{"/data", false}, {"/var/lib/db", true}};
  spec.set_env = {{"CHANGED", "new"}};
  spec.unset_env = {"DROPPED"};
  bool ran = false;
  with_scratch(bench.context, spec, [&](const std::string& scratch) {
    ran = true;
    CHECK(scratch == "s1");
    CHECK(bench.fake.count("DELETE /containers/s1") == 0);
  });
  CHECK(ran);

  const Json body = only_create(bench.fake);
  CHECK(body.at("Image") == "sha256:backed");
  CHECK(body.at("Entrypoint") == Json{"/entry"});
  CHECK(body.at("Cmd") == Json{"serve", "--fast"});
  CHECK(body.at("User") == "1000");
  CHECK(body.at("WorkingDir") == "/srv");
  CHECK(body.at("Env") == Json{"PATH=/bin", "SECRET=live", "CHANGED=new"});
  CHECK(body.at("Labels") == Json{{"bba.scratch", "kuma"}});
  CHECK(body.at("Healthcheck").at("Test") == Json{"NONE"});
  CHECK_FALSE(body.contains("ExposedPorts"));
  const Json& host = body.at("HostConfig");
  CHECK(host.at("NetworkMode") == "none");
  CHECK(host.at("Memory") == 64 << 20);
  CHECK(host.at("PidsLimit") == 512);
  CHECK(host.at("RestartPolicy") == Json{{"Name", "no"}});
  CHECK(host.at("ShmSize") == 1234);
  CHECK(host.at("Tmpfs") == Json{{"/run", "size=1m"}});
  for (const char* none : {"Binds", "Privileged", "CapAdd", "PortBindings", "Ulimits"}) {
    CHECK_FALSE(host.contains(none));
  }
  REQUIRE(host.at("Mounts").size() == 2);
  CHECK(host.at("Mounts")[0] ==
        *parse_json(R"({"Type":"volume","Target":"/data","VolumeOptions":{"NoCopy":true,)"
                    R"("Labels":{"bba.scratch":"kuma"}}})"));
  CHECK(host.at("Mounts")[1].at("VolumeOptions").at("NoCopy") == false);

  const std::string target = bench.fake.last("POST /containers/create").target;
  CHECK(contains(target, "name=bba-drill-kuma-"));
  CHECK(contains(bench.fake.last("DELETE /containers/s1").target, "force=1"));
  CHECK(contains(bench.fake.last("DELETE /containers/s1").target, "v=1"));
  CHECK(bench.needs_hand == Lines{});
}

TEST_CASE("it is in the journal before it is made, and until it is gone, whatever happens") {
  DrillFixture bench;
  bench.is_there();
  std::string journal;
  bench.fake.on("POST /containers/create",
                {bba::test::call([&] {
                   for (const std::string& name : names_in(bench.world.state())) {
                     journal = read_file(bench.world.state() + "/" + name);
                   }
                 }),
                 send(answer(201, R"({"Id":"s1"})"))});
  const auto is_open = [&](const std::string& name) {
    return bench.cleanup.has({store::CleanupKind::scratch, "s1", name});
  };
  CHECK(thrown_by([&] {
          with_scratch(bench.context, {}, [&](const std::string&) {
            // Once it is made the journal has its id: to miss that one says that it is gone.
            CHECK(is_open(name_of_scratch(bench.fake)));
            throw Error(ErrorKind::artifact, "not the same");
          });
        }).message == "not the same");
  const std::string name = name_of_scratch(bench.fake);
  CHECK(contains(journal, fmt::format(R"("owe":"scratch","id":"{0}","name":"{0}")", name)));
  CHECK_FALSE(is_open(name));
  CHECK_FALSE(bench.cleanup.has({store::CleanupKind::scratch, name, name}));
  for (const std::string& file : names_in(bench.world.state())) {
    CHECK_FALSE(contains(read_file(bench.world.state() + "/" + file), name));
  }
  CHECK(bench.fake.count("DELETE /containers/s1") == 1);

  // Asked to stop, it still removes.
  CHECK(thrown_by([&] {
          with_scratch(bench.context, {}, [&](const std::string& scratch) {
            bench.world.stop.request(SIGTERM);
            bench.world.session.engine.start(scratch);
          });
        }).kind == ErrorKind::terminated);
  CHECK(bench.fake.count("DELETE /containers/s1") == 2);
}

TEST_CASE("one that the engine refuses to make is not looked for") {
  DrillFixture bench;
  bench.fake.on("POST /containers/create",
                {send(answer(404, R"({"message":"No such image: sha256:backed"})"))});
  const Thrown refused =
      thrown_by([&] { with_scratch(bench.context, {}, [](const std::string&) {}); });
  CHECK(contains(refused.message, "making the scratch container: "));
  CHECK(contains(refused.message, "No such image"));
  CHECK(bench.fake.requests().size() == 2);  // with the version
}

TEST_CASE("one that cannot be removed needs a hand, and stays in the journal") {
  DrillFixture bench;
  bench.is_made();
  bench.fake.on("GET /containers/s1/json", {send(answer(500, R"({"message":"disk trouble"})"))});
  with_scratch(bench.context, {}, [](const std::string&) {});
  REQUIRE(bench.needs_hand.size() == 1);
  CHECK(contains(bench.needs_hand[0], "disk trouble"));
  CHECK(contains(bench.world.reporter.warnings.at(0), "backup-before-apply recover"));
}

TEST_CASE("a scratch container that is still being made is waited for, and no other") {
  DrillFixture bench;
  const std::string looked = "GET /containers/s1/json";
  bench.fake.on(looked, {send(answer(404, R"({"message":"No such container: s1"})"))});
  bench.fake.on(looked, {send(answer(404, R"({"message":"No such container: s1"})"))});
  bench.is_there();
  docker::Engine engine(bench.fake.socket_path(), {}, nullptr);
  CHECK(run::undo(engine, {store::CleanupKind::scratch, "s1", "s1"}));
  CHECK(bench.fake.count(looked) == 3);
  CHECK(bench.fake.count("DELETE /containers/s1") == 1);

  CHECK_FALSE(run::undo(engine, {store::CleanupKind::scratch, "not-yet", "not-yet"}));
  CHECK(bench.fake.count("GET /containers/not-yet/json") > 3);
  CHECK(bench.fake.count("DELETE /containers/not-yet") == 0);
  // It was made once, and is gone.
  CHECK(run::undo(engine, {store::CleanupKind::scratch, "made-once", "bba-drill-kuma"}));
  CHECK(bench.fake.count("GET /containers/made-once/json") == 1);
}

TEST_CASE("one whose making outlasts the run stays in the journal; one that failed does not") {
  DrillFixture bench;
  SUBCASE("the run is asked to stop meanwhile") {
    bench.fake.on("POST /containers/create",
                  {bba::test::call([&] { bench.world.stop.request(SIGTERM); }), bba::test::hold()});
    CHECK(thrown_by([&] { with_scratch(bench.context, {}, [](const std::string&) {}); }).kind ==
          ErrorKind::terminated);
    const std::string name = name_of_scratch(bench.fake);
    CHECK(bench.cleanup.has({store::CleanupKind::scratch, name, name}));
    REQUIRE(bench.world.reporter.notes.size() == 1);
    CHECK(contains(bench.world.reporter.notes[0], name));
  }
  SUBCASE("the engine says that it failed") {
    bench.fake.on("POST /containers/create",
                  {send(answer(500, R"({"message":"no space left on device"})"))});
    CHECK(contains(
        thrown_by([&] { with_scratch(bench.context, {}, [](const std::string&) {}); }).message,
        "no space left"));
    const std::string name = name_of_scratch(bench.fake);
    CHECK_FALSE(bench.cleanup.has({store::CleanupKind::scratch, name, name}));
  }
  CHECK(bench.needs_hand == Lines{});
}

TEST_CASE("a set that the engine's disk has no room for is refused") {
  DrillFixture bench;
  const auto kept_in = [&](const std::string& root) {
    bench.fake.on("GET /info",
                  {send(answer(200, dump_json(Json{{"Name", "h"}, {"DockerRootDir", root}})))});
  };
  const auto refused = [&](std::uint64_t bytes) {
    return thrown_by([&] { require_room(bench.world.session, bytes); });
  };
  SUBCASE("as it is seen from here") {
    kept_in(bench.world.temp.path());
    CHECK_FALSE(refused(1000).kind.has_value());
    for (const std::uint64_t bytes : {std::uint64_t{1} << 60, ~std::uint64_t{0}}) {
      CHECK(refused(bytes).kind == ErrorKind::storage);
    }
    CHECK(contains(refused(1ULL << 60).message, bench.world.temp.path()));
    CHECK(contains(refused(1ULL << 60).message, format_bytes(1ULL << 60)));
    CHECK(contains(refused(1ULL << 60).hint, "make room"));
  }
  SUBCASE("which is somewhere else") {
    kept_in(bench.world.temp / "not-here");
    CHECK_FALSE(refused(1ULL << 60).kind.has_value());
  }
}

}  // namespace bba::restore
