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
  BackupFixture backup_fixture{fake.socket_path()};
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(backup_fixture.backups());
  run::Cleanup cleanup{backup_fixture.state(), fake.host()};
  store::Manifest manifest;
  wire::Container live;
  Lines needs_hand;
  ScratchContext context{backup_fixture.session, cleanup,  directory, manifest, live,
                         "sha256:backed",        64 << 20, needs_hand};
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

TEST_CASE(
    "a scratch container has the live one's program, without its network, mounts and rights") {
  DrillFixture fixture;
  fixture.is_made();
  fixture.is_there();
  service::FreshTarget spec;
  spec.volumes = {{"/data", false}, {"/var/lib/db", true}};
  spec.set_env = {{"CHANGED", "new"}};
  spec.unset_env = {"DROPPED"};
  bool ran = false;
  with_scratch(fixture.context, spec, [&](const std::string& scratch) {
    ran = true;
    CHECK(scratch == "s1");
    CHECK(fixture.fake.count("DELETE /containers/s1") == 0);
  });
  CHECK(ran);

  const Json body = only_create(fixture.fake);
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

  const std::string target = fixture.fake.last("POST /containers/create").target;
  CHECK(contains(target, "name=bba-drill-kuma-"));
  CHECK(contains(fixture.fake.last("DELETE /containers/s1").target, "force=1"));
  CHECK(contains(fixture.fake.last("DELETE /containers/s1").target, "v=1"));
  CHECK(fixture.needs_hand == Lines{});
}

TEST_CASE("a scratch container is in the journal from before its creation until its removal") {
  DrillFixture fixture;
  fixture.is_there();
  std::string journal;
  fixture.fake.on("POST /containers/create",
                  {bba::test::call([&] {
                     for (const std::string& name : names_in(fixture.backup_fixture.state())) {
                       journal = read_file(fixture.backup_fixture.state() + "/" + name);
                     }
                   }),
                   send(answer(201, R"({"Id":"s1"})"))});
  const auto is_open = [&](const std::string& name) {
    return fixture.cleanup.has({store::CleanupKind::scratch, "s1", name});
  };
  CHECK(thrown_by([&] {
          with_scratch(fixture.context, {}, [&](const std::string&) {
            // After the creation the journal has its id: if no container has that id, it is gone.
            CHECK(is_open(name_of_scratch(fixture.fake)));
            throw Error(ErrorKind::artifact, "not the same");
          });
        }).message == "not the same");
  const std::string name = name_of_scratch(fixture.fake);
  CHECK(contains(journal, fmt::format(R"("owe":"scratch","id":"{0}","name":"{0}")", name)));
  CHECK_FALSE(is_open(name));
  CHECK_FALSE(fixture.cleanup.has({store::CleanupKind::scratch, name, name}));
  for (const std::string& file : names_in(fixture.backup_fixture.state())) {
    CHECK_FALSE(contains(read_file(fixture.backup_fixture.state() + "/" + file), name));
  }
  CHECK(fixture.fake.count("DELETE /containers/s1") == 1);

  // Asked to stop, it still removes.
  CHECK(thrown_by([&] {
          with_scratch(fixture.context, {}, [&](const std::string& scratch) {
            fixture.backup_fixture.stop.request(SIGTERM);
            fixture.backup_fixture.session.engine.start(scratch);
          });
        }).kind == ErrorKind::terminated);
  CHECK(fixture.fake.count("DELETE /containers/s1") == 2);
}

TEST_CASE("a scratch container that the engine refuses to create is not looked for") {
  DrillFixture fixture;
  fixture.fake.on("POST /containers/create",
                  {send(answer(404, R"({"message":"No such image: sha256:backed"})"))});
  const Thrown refused =
      thrown_by([&] { with_scratch(fixture.context, {}, [](const std::string&) {}); });
  CHECK(contains(refused.message, "making the scratch container: "));
  CHECK(contains(refused.message, "No such image"));
  CHECK(fixture.fake.requests().size() == 2);  // with the version
}

TEST_CASE("a scratch container that cannot be removed is reported, and stays in the journal") {
  DrillFixture fixture;
  fixture.is_made();
  fixture.fake.on("GET /containers/s1/json", {send(answer(500, R"({"message":"disk trouble"})"))});
  with_scratch(fixture.context, {}, [](const std::string&) {});
  REQUIRE(fixture.needs_hand.size() == 1);
  CHECK(contains(fixture.needs_hand[0], "disk trouble"));
  CHECK(contains(fixture.backup_fixture.reporter.warnings.at(0), "backup-before-apply recover"));
}

TEST_CASE("a scratch container that is still being created is waited for, and no other") {
  DrillFixture fixture;
  const std::string looked = "GET /containers/s1/json";
  fixture.fake.on(looked, {send(answer(404, R"({"message":"No such container: s1"})"))});
  fixture.fake.on(looked, {send(answer(404, R"({"message":"No such container: s1"})"))});
  fixture.is_there();
  docker::Engine engine(fixture.fake.socket_path(), {}, nullptr);
  CHECK(run::undo(engine, {store::CleanupKind::scratch, "s1", "s1"}));
  CHECK(fixture.fake.count(looked) == 3);
  CHECK(fixture.fake.count("DELETE /containers/s1") == 1);

  CHECK_FALSE(run::undo(engine, {store::CleanupKind::scratch, "not-yet", "not-yet"}));
  CHECK(fixture.fake.count("GET /containers/not-yet/json") > 3);
  CHECK(fixture.fake.count("DELETE /containers/not-yet") == 0);
  // It was created once, and is gone.
  CHECK(run::undo(engine, {store::CleanupKind::scratch, "made-once", "bba-drill-kuma"}));
  CHECK(fixture.fake.count("GET /containers/made-once/json") == 1);
}

TEST_CASE("a scratch container still being created stays in the journal, a failed one does not") {
  DrillFixture fixture;
  SUBCASE("the run is asked to stop meanwhile") {
    fixture.fake.on("POST /containers/create",
                    {bba::test::call([&] { fixture.backup_fixture.stop.request(SIGTERM); }),
                     bba::test::hold()});
    CHECK(thrown_by([&] { with_scratch(fixture.context, {}, [](const std::string&) {}); }).kind ==
          ErrorKind::terminated);
    const std::string name = name_of_scratch(fixture.fake);
    CHECK(fixture.cleanup.has({store::CleanupKind::scratch, name, name}));
    REQUIRE(fixture.backup_fixture.reporter.notes.size() == 1);
    CHECK(contains(fixture.backup_fixture.reporter.notes[0], name));
  }
  SUBCASE("the engine says that it failed") {
    fixture.fake.on("POST /containers/create",
                    {send(answer(500, R"({"message":"no space left on device"})"))});
    CHECK(contains(
        thrown_by([&] { with_scratch(fixture.context, {}, [](const std::string&) {}); }).message,
        "no space left"));
    const std::string name = name_of_scratch(fixture.fake);
    CHECK_FALSE(fixture.cleanup.has({store::CleanupKind::scratch, name, name}));
  }
  CHECK(fixture.needs_hand == Lines{});
}

TEST_CASE("a set that the engine's disk has no room for is refused") {
  DrillFixture fixture;
  const auto kept_in = [&](const std::string& root) {
    fixture.fake.on("GET /info",
                    {send(answer(200, dump_json(Json{{"Name", "h"}, {"DockerRootDir", root}})))});
  };
  const auto refused = [&](std::uint64_t bytes) {
    return thrown_by([&] { require_room(fixture.backup_fixture.session, bytes); });
  };
  SUBCASE("a disk that this host sees") {
    kept_in(fixture.backup_fixture.temp.path());
    CHECK_FALSE(refused(1000).kind.has_value());
    for (const std::uint64_t bytes : {std::uint64_t{1} << 60, ~std::uint64_t{0}}) {
      CHECK(refused(bytes).kind == ErrorKind::storage);
    }
    CHECK(contains(refused(1ULL << 60).message, fixture.backup_fixture.temp.path()));
    CHECK(contains(refused(1ULL << 60).message, format_bytes(1ULL << 60)));
    CHECK(contains(refused(1ULL << 60).hint, "make room"));
  }
  SUBCASE("a disk that is somewhere else") {
    kept_in(fixture.backup_fixture.temp / "not-here");
    CHECK_FALSE(refused(1ULL << 60).kind.has_value());
  }
}

}  // namespace bba::restore
