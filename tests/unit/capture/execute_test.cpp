#include "bba/capture/execute.hpp"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/store/catalogue.hpp"
#include "capture/parts.hpp"
#include "fake_engine.hpp"
#include "unit/service/fakes.hpp"
#include "unit/session.hpp"
#include "unit/store/support.hpp"

namespace bba::capture {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::frame;
using bba::test::send;
using bba::test::stream_header;
using Lines = std::vector<std::string>;

// A server whose pg_dumpall an engine runs.
struct Dump {
  FakeEngine fake;
  BackupFixture fixture{fake.socket_path()};
  run::Cleanup cleanup{fixture.state(), fake.host()};
  store::OwnedDirectory directory = store::OwnedDirectory::open_existing(fixture.backups());
  bba::test::PlainService service;
  bba::test::TextKind kind;
  service::Capture capture;
  std::string text = pipe::test::random_lines(20'000, 1) + "\ncomplete\n";

  Dump() {
    capture.target.module = "db";
    capture.target.module_class = 'A';
    capture.target.rule = "a test";
    wire::Container& container = capture.target.container;
    container.id = "c0ffee";
    container.name = "db-1";
    container.image = "sha256:aaaa";
    container.config_image = "postgres:15";
    container.running = true;
    container.labels = {{"com.docker.compose.project", "core"},
                        {"com.docker.compose.service", "db"}};
    capture.strategy = "pg_dumpall";
    capture.warnings = {"a warning"};
    service::ExecDump dump;
    dump.exec.argv = {"pg_dumpall", "-w"};
    capture.service = &service;
    capture.parts.push_back({"", &kind, dump});
    fake.on("POST /containers/c0ffee/exec", {send(answer(201, R"({"Id":"e1"})"))});
  }
  void prints(const std::string& out, const std::string& err, int exit_code) {
    fake.on("POST /exec/e1/start", {send(stream_header), send(frame(1, out)), send(frame(2, err))});
    fake.on("GET /exec/e1/json", {send(answer(200, dump_json(Json{{"ID", "e1"},
                                                                  {"Running", false},
                                                                  {"ExitCode", exit_code},
                                                                  {"Pid", 0},
                                                                  {"ContainerID", "c0ffee"}})))});
  }
  CapturedSet run(pipe::Compression compression = pipe::Compression::gzip) {
    return execute(fixture.session, cleanup, capture, directory, compression, noon);
  }
};

// Checks that the newest set of the module is as its manifest says.
void check_whole(const BackupFixture& fixture, const std::string& module) {
  const auto directory = store::OwnedDirectory::open_existing(fixture.backups());
  const store::Catalogue catalogue = store::read_catalogue(directory, module);
  REQUIRE(catalogue.sets.size() == 1);
  CHECK(store::checksum_error(read_file(fixture.path(catalogue.sets[0].manifest_file))) == "");
  for (const store::ArtifactRecord& record : catalogue.sets[0].manifest.artifacts) {
    const std::string stored = read_file(fixture.path(record.file));
    CHECK(sha256_of(stored) == record.sha256);
    CHECK(pipe::test::decompressed(pipe::Compression::gzip, stored).size() ==
          record.uncompressed_bytes);
  }
}

}  // namespace

TEST_CASE("a dump becomes a set that has no name until it is published, and then passes verify") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  dump.fake.on(
      "GET /images/sha256%3Aaaaa/json",
      {send(answer(200, R"({"Id":"sha256:aaaa","RepoDigests":["postgres@sha256:bbbb"]})"))});
  std::vector<CapturedSet> sets;
  sets.push_back(dump.run());
  CHECK(names_in(dump.fixture.backups()) == Lines{});
  CHECK_FALSE(dump.cleanup.has({store::CleanupKind::exec, "e1", "pg_dumpall in db-1"}));

  const store::Manifest& manifest = sets[0].manifest;
  CHECK(manifest.module == "db");
  CHECK(manifest.module_class == "A");
  CHECK(manifest.container.image_digest == "postgres@sha256:bbbb");
  CHECK(manifest.container.compose["service"] == "db");
  CHECK(manifest.consistency.mode == "live");
  CHECK(manifest.warnings == Lines{"a warning"});
  REQUIRE(manifest.artifacts.size() == 1);
  const store::ArtifactRecord& record = manifest.artifacts[0];
  CHECK(record.file == "db-20261123T120000Z.txt.gz");
  CHECK(record.uncompressed_bytes == dump.text.size());
  CHECK(record.restore.back() == "restore db-20261123T120000Z.txt.gz as number 1");

  publish(sets, dump.directory);
  CHECK(names_in(dump.fixture.backups()) == Lines{"db-20261123T120000Z.container.json",
                                                  "db-20261123T120000Z.manifest.json",
                                                  "db-20261123T120000Z.txt.gz"});
  // What it takes to make the container again, with its secrets, and so for its owner alone.
  const auto& configuration = sets.front().manifest.container.configuration;
  REQUIRE(configuration);
  const std::string configured = read_file(dump.fixture.path(configuration->file));
  CHECK(configured.size() == configuration->bytes);
  CHECK(sha256_of(configured) == configuration->sha256);
  struct stat status {};
  REQUIRE(::stat(dump.fixture.path(configuration->file).c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  const std::string stored = read_file(dump.fixture.path(record.file));
  CHECK(stored.size() == record.bytes);
  CHECK(sha256_of(stored) == record.sha256);
  check_whole(dump.fixture, "db");
}

TEST_CASE("a clock that is set back while a set is taken does not spoil it") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  // The run began when the clock was ahead.
  const Timestamp ahead = now() + std::chrono::hours(1);
  std::vector<CapturedSet> sets;
  sets.push_back(execute(dump.fixture.session, dump.cleanup, dump.capture, dump.directory,
                         pipe::Compression::gzip, ahead));
  CHECK(sets[0].manifest.finished == ahead);
  publish(sets, dump.directory);
  check_whole(dump.fixture, "db");
}

TEST_CASE("an image that was removed under its container has no digest, and that is not an error") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  CHECK(dump.run(pipe::Compression::zstd).manifest.container.image_digest == "");
}

TEST_CASE("a dump that is not proven complete becomes no set, and leaves no open journal entry") {
  Dump dump;
  SUBCASE("the program fails, and its error output is reported") {
    dump.prints(dump.text, "pg_dumpall: error: out of memory", 1);
    const Thrown error = thrown_by([&] { dump.run(); });
    CHECK(error.kind == ErrorKind::capture);
    CHECK(contains(error.message, "exit code 1: pg_dumpall: error: out of memory"));
  }
  SUBCASE("half a dump and exit code 0") {
    dump.prints(dump.text.substr(0, dump.text.size() / 2), "", 0);
    CHECK(thrown_by([&] { dump.run(); }).kind == ErrorKind::capture);
  }
  SUBCASE("a program could not start, and the error stands where its output should be") {
    dump.prints("OCI runtime exec failed: not found", "", 126);
    const Thrown error = thrown_by([&] { dump.run(); });
    CHECK(contains(error.message, "it could not be started"));
    CHECK(contains(error.message, "OCI runtime exec failed: not found"));
  }
  CHECK_FALSE(dump.cleanup.has({store::CleanupKind::exec, "e1", "pg_dumpall in db-1"}));
  CHECK(names_in(dump.fixture.backups()) == Lines{});
}

TEST_CASE("sets that were taken together name each other") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  std::vector<CapturedSet> sets;
  sets.push_back(dump.run());
  dump.capture.target.module = "web";
  sets.push_back(dump.run());
  publish(sets, dump.directory);
  CHECK(sets[0].manifest.members == Lines{"web-20261123T120000Z.manifest.json"});
  CHECK(sets[1].manifest.members == Lines{"db-20261123T120000Z.manifest.json"});
  CHECK(names_in(dump.fixture.backups()).size() == 6);
  check_whole(dump.fixture, "db");
  check_whole(dump.fixture, "web");
}

TEST_CASE("where one file name of several is taken, no file of the set is left") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  std::vector<CapturedSet> sets;
  sets.push_back(dump.run());
  dump.capture.target.module = "web";
  sets.push_back(dump.run());
  std::string taken;
  SUBCASE("the last artifact's") {
    taken = "web-20261123T120000Z.txt.gz";
  }
  SUBCASE("the last manifest's") {
    taken = "web-20261123T120000Z.manifest.json";
  }
  write_file(dump.fixture.path(taken), "somebody else's");
  const Thrown error = thrown_by([&] { publish(sets, dump.directory); });
  CHECK(error.kind == ErrorKind::storage);
  CHECK(contains(error.message, "publishing: "));
  CHECK(names_in(dump.fixture.backups()) == Lines{taken});
  CHECK(read_file(dump.fixture.path(taken)) == "somebody else's");
}

TEST_CASE("a time limit ends the reading of a directory of this host, even of an empty one") {
  BackupFixture fixture;
  run::Cleanup cleanup(fixture.state(), "unix:///nonexistent/engine.sock");
  const auto backups = store::OwnedDirectory::open_existing(fixture.backups());
  const service::Capture capture;
  const CaptureContext context{fixture.session, cleanup, capture, backups, pipe::Compression::gzip};
  const std::string project = fixture.temp / "project";
  std::filesystem::create_directories(project + "/empty");
  fixture.stop.set_time_limit(std::chrono::seconds(0));
  ArtifactSink sink(backups, pipe::Compression::gzip);
  CHECK(thrown_by([&] {
          capture_directory(context, {project, {}}, sink, [](std::size_t) {});
        }).kind == ErrorKind::timeout);
}

TEST_CASE("where published names cannot be removed again either, the first failure is reported") {
  Dump dump;
  dump.prints(dump.text, "", 0);
  std::vector<CapturedSet> sets;
  sets.push_back(dump.run());
  dump.capture.target.module = "web";
  sets.push_back(dump.run());
  write_file(dump.fixture.path("web-20261123T120000Z.txt.gz"), "somebody else's");
  const std::string told = ::test::in_child([&]() -> std::string {
    ::test::fail_system_call(SYS_unlinkat, EIO);
    return thrown_by([&] { publish(sets, dump.directory); }).message;
  });
  CHECK(told.starts_with("publishing: "));
  CHECK(contains(told, "web-20261123T120000Z.txt.gz: a file of this name exists already"));
}

}  // namespace bba::capture
