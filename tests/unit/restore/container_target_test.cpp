// A tree put into a scratch container, against a scripted engine that gives back whatever a test
// wants.
#include "restore/container_target.hpp"

#include <csignal>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::restore {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::chunk;
using bba::test::FakeEngine;
using bba::test::send;
using Lines = std::vector<std::string>;
using Tree = std::vector<std::pair<pipe::TarEntry, std::string>>;

Tree sample() {
  return {{tar_entry("data", pipe::TarType::directory), ""},
          {tar_entry("data/first"), "the content"},
          {tar_entry("data/second"), "more of it"},
          {tar_entry("data/third", pipe::TarType::symlink, "first"), ""}};
}

struct DrillFixture {
  explicit DrillFixture(const Tree& tree, const std::string& to_put = answer(200, "")) {
    const store::Manifest put =
        put_set(backup_fixture, "kuma", noon, {{"", {"tar", tar_of(tree), Json::object()}}});
    manifest = put;
    record = manifest.artifacts.at(0);
    record.source = "/srv/data";
    fake.on("PUT /containers/s1/archive", {send(to_put)});
  }

  void gives_back(const Tree& tree) {
    fake.on("GET /containers/s1/archive",
            {send(bba::test::chunked_header + chunk(tar_of(tree)) + bba::test::last_chunk)});
  }
  // "" where it passes.
  Thrown restore() {
    return thrown_by([&] {
      ContainerTarget target(context, "s1", record, false);
      target.put_tree("/srv/data");
      report = target.report;
    });
  }

  FakeEngine fake;
  BackupFixture backup_fixture{fake.socket_path()};
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(backup_fixture.backups());
  run::Cleanup cleanup{backup_fixture.state(), fake.host()};
  store::Manifest manifest;
  store::ArtifactRecord record;
  wire::Container live;
  Lines needs_hand;
  ScratchContext context{
      backup_fixture.session, cleanup, directory, manifest, live, "img", 1 << 20, needs_hand};
  service::PartReport report;
};

}  // namespace

TEST_CASE("the artifact's own bytes are put below the parent, and read back from the path") {
  DrillFixture fixture(sample());
  fixture.gives_back(sample());
  CHECK(fixture.restore().message.empty());
  CHECK(contains(fixture.fake.last("PUT /containers/s1/archive").target, "path=%2Fsrv"));
  CHECK(fixture.fake.last("PUT /containers/s1/archive").body == tar_of(sample()));
  CHECK(contains(fixture.fake.last("GET /containers/s1/archive").target, "path=%2Fsrv%2Fdata"));
  CHECK(fixture.report.compared == Json{{"entries", 4}, {"content_bytes", 21}});
  CHECK(fixture.report.not_proven.empty());
}

TEST_CASE("the first entry that differs, in the artifact's order, is named") {
  Tree other = sample();
  other[2].first.mode = 0604;
  other[3].first.link = "elsewhere";
  DrillFixture fixture(sample());
  fixture.gives_back(other);
  const Thrown thrown = fixture.restore();
  CHECK(thrown.kind == ErrorKind::artifact);
  CHECK(thrown.message ==
        "restored, it is not the same: data/second: its mode is 0640, and 0604 after restoring");
}

TEST_CASE("entries that are lost, new, or twice in the artifact") {
  const auto said_of = [](const Tree& artifact, const Tree& restored) {
    DrillFixture fixture(artifact);
    fixture.gives_back(restored);
    const Thrown thrown = fixture.restore();
    CHECK(thrown.kind == ErrorKind::artifact);
    return thrown.message;
  };
  Tree less = sample();
  less.pop_back();
  CHECK(said_of(sample(), less) == "restored, it is not the same: data/third did not come back");
  CHECK(said_of(less, sample()) ==
        "restored, it is not the same: data/third came back, which is not in the artifact");
  Tree twice = sample();
  twice.push_back(twice[1]);
  CHECK(said_of(twice, sample()) ==
        "restored, it is not the same: data/first is in the artifact 2 times");
}

TEST_CASE("an engine that refuses the archive, or has nothing to return") {
  {
    DrillFixture fixture(sample());
    fixture.fake.on("GET /containers/s1/archive",
                    {send(answer(404, R"({"message":"no such path"})"))});
    const Thrown thrown = fixture.restore();
    CHECK(thrown.kind == ErrorKind::artifact);
    CHECK(thrown.message == "restored, it has no /srv/data");
  }
  const auto refused = [](const std::string& words) {
    return DrillFixture(sample(), answer(500, words)).restore();
  };
  const Thrown bad = refused(R"({"message":"archive/tar: invalid tar header"})");
  CHECK(bad.kind == ErrorKind::artifact);
  CHECK(contains(bad.message, "extracting it into the scratch container: "));
  CHECK(refused(R"({"message":"write /x: no space left on device"})").kind == ErrorKind::engine);
}

TEST_CASE("a cut in what the engine returns is the engine's error, not the artifact's") {
  DrillFixture fixture(sample());
  const std::string tar = tar_of(sample());
  fixture.fake.on(
      "GET /containers/s1/archive",
      {send(bba::test::chunked_header + chunk(tar.substr(0, 1024)) + bba::test::last_chunk)});
  CHECK(fixture.restore().kind == ErrorKind::engine);
}

namespace {

// A scratch container "s1" of module kuma whose server comes up, or does not.
struct ServerFixture : DrillFixture {
  ServerFixture() : DrillFixture(sample()) {
    fake.on("POST /containers/s1/start", {send(answer(204, ""))});
  }
  void is_there(bool running = true) {
    fake.on("GET /containers/s1/json",
            {send(answer(200, dump_json(Json{{"Id", "s1"},
                                             {"Name", "/scratch"},
                                             {"Image", "sha256:aaaa"},
                                             {"State", {{"Running", running}}},
                                             {"Config", {{"Image", "img:1"}}}})))});
  }
  void start(const std::function<bool()>& answers) {
    ContainerTarget(context, "s1", record, false).start(answers, std::chrono::minutes(10));
  }
};

}  // namespace

TEST_CASE("a server that does not stay up is reported with its last log lines") {
  ServerFixture fixture;
  fixture.is_there(false);
  fixture.fake.on("GET /containers/s1/logs",
                  {send(answer(200, bba::test::frame(2, "FATAL: no memory\n")))});
  const Thrown down = thrown_by([&] { fixture.start([] { return false; }); });
  CHECK(down.kind == ErrorKind::capture);
  CHECK(down.message == "the scratch container does not stay up: FATAL: no memory");
  CHECK(contains(down.hint, "--memory"));
}

TEST_CASE("a server is asked again until it answers, or a request to stop comes") {
  ServerFixture fixture;
  fixture.is_there();
  int asked = 0;
  fixture.start([&] { return ++asked == 3; });
  CHECK(asked == 3);
  const Thrown stopped = thrown_by([&] {
    fixture.start([&] {
      fixture.backup_fixture.stop.request(SIGINT);
      return false;
    });
  });
  CHECK(stopped.kind == ErrorKind::interrupted);
}

TEST_CASE("a copy of a file is put beside it under the other name") {
  DrillFixture fixture(sample());
  ContainerTarget(fixture.context, "s1", fixture.record, false)
      .copy_file("/srv/data/first", "/srv/data/kept.rdb");
  CHECK(contains(fixture.fake.last("PUT /containers/s1/archive").target, "path=%2Fsrv%2Fdata"));
  CHECK(fixture.fake.last("PUT /containers/s1/archive").body ==
        tar_of({{tar_entry("kept.rdb"), "the content"}}));
}

TEST_CASE("the artifact, or a text, is written to a program in the target") {
  DrillFixture fixture(sample());
  fixture.backup_fixture.session.settings.host = fixture.fake.host();
  fixture.fake.on("POST /containers/s1/exec", {send(answer(201, R"({"Id":"e1"})"))});
  fixture.fake.on("POST /exec/e1/start",
                  {send(bba::test::upgraded_header), bba::test::echo_frames()});
  fixture.fake.on("GET /exec/e1/json", {send(answer(200, R"({"Running":false,"ExitCode":0})"))});
  ContainerTarget target(fixture.context, "s1", fixture.record, false);
  CHECK(target.feed_text({.argv = {"cat"}}, "a text").out == "a text");
  CHECK(target.feed({.argv = {"cat"}}, {}).out == tar_of(sample()));
}

}  // namespace bba::restore
