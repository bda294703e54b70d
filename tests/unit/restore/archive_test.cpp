// Restoring archives, against a scripted engine that gives back whatever a test wants.
#include <doctest/doctest.h>

#include "bba/restore/scratch.hpp"
#include "fake_engine.hpp"
#include "unit/commands/sets.hpp"

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

struct Bench {
  explicit Bench(const Tree& tree, const std::string& to_put = answer(200, "")) {
    const store::Manifest put =
        put_set(world, "kuma", noon, {{"", {"tar", tar_of(tree), Json::object()}}});
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
    return thrown_by([&] { report = restore_archive(context, "s1", place_of(record), record); });
  }

  FakeEngine fake;
  World world{fake.socket_path()};
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(world.backups());
  run::Debts debts{world.state(), fake.host()};
  store::Manifest manifest;
  store::ArtifactRecord record;
  wire::Container live;
  Lines needs_hand;
  DrillContext context{world.session, debts, directory, manifest, live, "img", 1 << 20, needs_hand};
  PartReport report;
};

}  // namespace

TEST_CASE("the artifact's own bytes are put below the parent, and read back from the path") {
  Bench bench(sample());
  bench.gives_back(sample());
  CHECK(bench.restore().message.empty());
  CHECK(contains(bench.fake.last("PUT /containers/s1/archive").target, "path=%2Fsrv"));
  CHECK(bench.fake.last("PUT /containers/s1/archive").body == tar_of(sample()));
  CHECK(contains(bench.fake.last("GET /containers/s1/archive").target, "path=%2Fsrv%2Fdata"));
  CHECK(bench.report.compared == Json{{"entries", 4}, {"content_bytes", 21}});
  CHECK(bench.report.not_proven.empty());
}

TEST_CASE("the first entry that differs, in the artifact's order, is named") {
  Tree other = sample();
  other[2].first.mode = 0604;
  other[3].first.link = "elsewhere";
  Bench bench(sample());
  bench.gives_back(other);
  const Thrown thrown = bench.restore();
  CHECK(thrown.kind == ErrorKind::artifact);
  CHECK(thrown.message ==
        "restored, it is not the same: data/second: its mode is 0640, and 0604 after restoring");
}

TEST_CASE("entries that are lost, new, or twice in the artifact") {
  const auto said_of = [](const Tree& artifact, const Tree& restored) {
    Bench bench(artifact);
    bench.gives_back(restored);
    const Thrown thrown = bench.restore();
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

TEST_CASE("an engine that does not take the archive, or has nothing to give back") {
  {
    Bench bench(sample());
    bench.fake.on("GET /containers/s1/archive",
                  {send(answer(404, R"({"message":"no such path"})"))});
    const Thrown thrown = bench.restore();
    CHECK(thrown.kind == ErrorKind::artifact);
    CHECK(thrown.message == "restored, it has no /srv/data");
  }
  const auto refused = [](const std::string& words) {
    return Bench(sample(), answer(500, words)).restore();
  };
  const Thrown bad = refused(R"({"message":"archive/tar: invalid tar header"})");
  CHECK(bad.kind == ErrorKind::artifact);
  CHECK(contains(bad.message, "extracting it into the scratch container: "));
  CHECK(refused(R"({"message":"write /x: no space left on device"})").kind == ErrorKind::engine);
}

TEST_CASE("what the engine gives back is cut: its fault, not the artifact's") {
  Bench bench(sample());
  const std::string tar = tar_of(sample());
  bench.fake.on(
      "GET /containers/s1/archive",
      {send(bba::test::chunked_header + chunk(tar.substr(0, 1024)) + bba::test::last_chunk)});
  CHECK(bench.restore().kind == ErrorKind::engine);
}

TEST_CASE("where each kind of archive is restored to") {
  store::ArtifactRecord record;
  record.kind = "tar";
  record.found = *parse_json(R"({"directories": 3})");
  const auto place = [&](const std::string& source) {
    record.source = source;
    const RestorePlace found = place_of(record);
    return found.path + " in " + found.volume;
  };
  CHECK(place("/data") == "/data in /data");
  CHECK(place("/var/lib/x y") == "/var/lib/x y in /var/lib/x y");
  CHECK(thrown_by([&] { place("/"); }).kind == ErrorKind::artifact);
  CHECK(thrown_by([&] { place("data"); }).kind == ErrorKind::artifact);
  record.found = *parse_json(R"({"directories": 0})");
  CHECK(place("/etc/app/hosts.csv") == "/etc/app/hosts.csv in /etc/app");
  CHECK(place("/hosts.csv") == "/hosts.csv in ");
  record.kind = "host-directory";
  CHECK(place("host:/opt/agaria") == "/bba-drill/agaria in /bba-drill");
  record.kind = "objects";
  CHECK(place("objects of local") == "/bba-drill/objects in /bba-drill");
}

}  // namespace bba::restore
