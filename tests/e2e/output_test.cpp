// What is printed, and how much memory it takes to make it.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e/postgres.hpp"

using namespace e2e;

namespace {

constexpr const char* image = "bba-fixture/files:1";
constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t most_resident = 64 * mib;

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// The program as a shell starts it, with `redirection` after its arguments.
Strings in_shell(const Strings& command, const std::string& redirection,
                 const std::string& before = {}) {
  return {"sh", "-c", before + "exec " + shell_quoted(command) + " " + redirection};
}

struct Volume {
  explicit Volume(E2eFixture& fixture, std::uint64_t sparse_bytes = 0) {
    const std::string volume = fixture.volume("data");
    write_file(volume_path(volume) + "/file", "content");
    std::filesystem::resize_file(volume_path(volume) + "/file", sparse_bytes);
    container = fixture.start("kuma", {"--volume", volume + ":/data"}, image);
  }
  std::string container;
};

}  // namespace

TEST_CASE("standard output has the artifacts' paths, or the manifest, and nothing else") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Volume volume(fixture);
  const Ended plain = fixture.bba({"backup", volume.container});
  REQUIRE(plain.exit_code == 0);
  const std::string file = fixture.manifest().at("artifacts")[0].at("file");
  CHECK(plain.out == fixture.backups() + "/" + file + "\n");
  CHECK(file.starts_with(volume.container + "-20"));
  CHECK(file.ends_with("Z.tar.gz"));
  CHECK(mode_of(fixture.backups()) == 0700);
  CHECK(names_in(fixture.backups()).size() == 3);
  for (const std::string& name : names_in(fixture.backups())) {
    CHECK(mode_of(fixture.backups() + "/" + name) == 0600);
  }

  E2eFixture other;
  // --json, in front of the command, and with nothing to say on stderr.
  const Ended json = run(other.command({"--json", "--quiet", volume.container}));
  REQUIRE(json.exit_code == 0);
  const auto printed = parse_json(json.out);
  REQUIRE(printed);
  CHECK(*printed == other.manifest());
  CHECK(json.err.empty());
}

TEST_CASE("a live line on a terminal, and none elsewhere") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Volume volume(fixture, 1024 * mib);
  const Strings command = fixture.command({"backup", volume.container});
  const Ended elsewhere = run(command);
  REQUIRE(elsewhere.exit_code == 0);
  CHECK_FALSE(has(elsewhere.err, "\r"));
  CHECK_FALSE(has(elsewhere.err, "\x1b"));

  const Ended terminal =
      run({"script", "--quiet", "--return", "--command", shell_quoted(command), "/dev/null"});
  REQUIRE(terminal.exit_code == 0);
  CHECK(has(terminal.out, "\r"));
  CHECK(has(terminal.out, volume.container + ": /data  "));
  CHECK(has(terminal.out, "iB/s"));
  CHECK(has(terminal.out, "%"));
}

TEST_CASE("a backup directory where others could write is refused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Volume volume(fixture);
  std::filesystem::create_directory(fixture.backups());
  REQUIRE(::chmod(fixture.backups().c_str(), 0777) == 0);
  const std::string life = life_of(volume.container);
  const Ended ended = fixture.bba({"backup", volume.container});
  CHECK(ended.exit_code == 8);
  CHECK(has(ended.err, fixture.backups()));
  CHECK(life_of(volume.container) == life);
  fixture.check_nothing_left();
}

TEST_CASE("a volume of 1 GiB takes no more than 64 MiB of memory") {
  NEEDS_ENGINE();
  for (const std::string compression : {"gzip", "zstd"}) {
    CAPTURE(compression);
    E2eFixture fixture;
    const Volume volume(fixture, 1024 * mib);
    const Ended ended = fixture.bba({"backup", volume.container, "--compression", compression});
    REQUIRE(ended.exit_code == 0);
    CHECK(fixture.manifest().at("artifacts")[0].at("uncompressed_bytes") > 1024 * mib);
    MESSAGE(compression << ": " << ended.most_resident_bytes / mib << " MiB");
    CHECK(ended.most_resident_bytes < most_resident);
  }
}

TEST_CASE("a dump of 200 MB takes no more than 64 MiB of memory") {
  NEEDS_ENGINE();
  E2eFixture servers;
  const Server server(servers, "postgres");
  server.query("postgres",
               "CREATE UNLOGGED TABLE filler AS SELECT i, repeat(md5(i::text), 32) AS text FROM "
               "generate_series(1, 210000) AS i");
  for (const std::string compression : {"gzip", "zstd"}) {
    CAPTURE(compression);
    E2eFixture fixture;
    const Ended ended = fixture.bba({"backup", server.container(), "--compression", compression});
    REQUIRE(ended.exit_code == 0);
    CHECK(fixture.manifest().at("artifacts")[0].at("uncompressed_bytes") > 200'000'000);
    MESSAGE(compression << ": " << ended.most_resident_bytes / mib << " MiB");
    CHECK(ended.most_resident_bytes < most_resident);
  }
}

TEST_CASE("standard error that cannot be written changes no exit code") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Strings nowhere = fixture.command({"list"});
  for (const std::string redirection : {"2>/dev/full", "2>&-", "<&- >&- 2>&-"}) {
    CAPTURE(redirection);
    CHECK(run(in_shell(fixture.command({"--bogus"}), redirection)).exit_code == 2);
    CHECK(run(in_shell(nowhere, redirection)).exit_code == 8);
  }
  // A result that cannot be written is an error, and does not end up in one of our files.
  std::filesystem::create_directory(fixture.backups());
  for (const std::string redirection : {">/dev/full", ">&-"}) {
    const Ended ended = run(in_shell(fixture.command({"list", "--json"}), redirection));
    CHECK(ended.exit_code == 8);
    CHECK(has(ended.err, "writing the result to standard output"));
  }
  CHECK(names_in(fixture.backups()) == Strings{});
}

TEST_CASE("standard error that nobody reads delays neither the backup nor its end") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Volume volume(fixture, 64 * mib);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd reader(ends[0]), writer(ends[1]);
  const std::string filler(4096, 'f');
  while (::write(writer.get(), filler.data(), filler.size()) > 0) {
  }
  // Opened anew, it is a pipe that blocks.
  const std::string redirection = fmt::format("2>/proc/{}/fd/{}", ::getpid(), writer.get());
  Process process(in_shell(fixture.command({"backup", volume.container}), redirection));
  wait_until("the path is printed", 60s, [&] { return !process.out().empty(); });
  CHECK_FALSE(paused(volume.container));
  // It waits now to say how large the backup is.
  process.signal(SIGTERM);
  const Ended ended = process.wait(20s);
  CHECK(ended.exit_code == 0);
  CHECK(fixture.journals() == Strings{});
  CHECK(fixture.bba({"verify", volume.container}).exit_code == 0);
}

TEST_CASE("signals that were ignored at the start stay ignored: nohup") {
  NEEDS_ENGINE();
  for (const std::string ignore : {"", "trap '' HUP INT; "}) {
    CAPTURE(ignore);
    E2eFixture fixture;
    const Volume volume(fixture, 512 * mib);
    Process process(in_shell(fixture.command({"backup", volume.container}), "", ignore));
    wait_until("a journal entry", 60s, [&] { return !fixture.journals().empty(); });
    process.signal(SIGHUP);
    CHECK(process.wait().exit_code == (ignore.empty() ? 143 : 0));
    CHECK_FALSE(paused(volume.container));
  }
}

TEST_CASE("a mistyped command is not taken for a module, unless there is one of that name") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Ended slip = fixture.bba({"verfy", "postgres"});
  CHECK(slip.exit_code == 2);
  CHECK(has(slip.err, "did you mean `verify`? (`backup verfy` for a module of that name)"));
  std::filesystem::create_directories(fixture.path("modules/verfy"));
  const Ended module = fixture.bba({"verfy"});
  CHECK(module.exit_code == 4);
  CHECK(has(module.err, "no container"));
}

TEST_CASE("recover and list say so when there is nothing to recover and nothing to list") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Ended recovered = fixture.bba({"recover", "--json"});
  CHECK(recovered.exit_code == 0);
  CHECK(parse_json(recovered.out) == parse_json(R"({"done": [], "failed": [], "waiting": []})"));
  std::filesystem::create_directory(fixture.backups());
  const Ended listed = fixture.bba({"list", "forgejo"});
  CHECK(listed.exit_code == 0);
  CHECK(listed.out.empty());
  CHECK(listed.err == "no backup of forgejo in " + fixture.backups() + "\n");
}
