// Class E on real volumes and binds: everything is restored, what cannot be is counted, and what
// changed during the backup is found.
#include <algorithm>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "e2e/support.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";
// Large enough that reading it takes much longer than reacting to a signal.
constexpr std::uint64_t large = 512 << 20;

void sparse_file(const std::string& path, std::uint64_t size) {
  write_file(path, "");
  fs::resize_file(path, size);
}

// A socket, as a database has one in its data directory.
void make_socket(const std::string& path) {
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

// A container with a volume and a bind mount, and mounts that are not its own data.
struct Module {
  explicit Module(E2eFixture& fixture, const Strings& command = {}) {
    volume = fixture.volume("data");
    bind = fixture.path("import");
    fs::create_directory(bind);
    fs::create_directory(fixture.path("config"));
    make_socket(fixture.path("app.sock"));
    container =
        fixture.start("kuma",
                      {"--volume", volume + ":/app/data", "--volume", bind + ":/app/import",
                       "--volume", fixture.path("config") + ":/app/config:ro", "--volume",
                       fixture.path("app.sock") + ":/run/app.sock", "--volume",
                       host().substr(std::string("unix://").size()) + ":/var/run/docker.sock",
                       "--tmpfs", "/app/cache"},
                      image, command);
  }

  std::string volume, bind, container;
};

// A backup of a volume with one large file, caught while the engine reads that file.
struct Caught {
  explicit Caught(E2eFixture& fixture)
      : volume(fixture.volume("data")), file(volume_path(volume) + "/big.bin") {
    sparse_file(file, large);
    write_file(volume_path(volume) + "/later.txt", "it comes after the large one");
    container = fixture.start("kuma", {"--volume", volume + ":/data"}, image);
  }

  // The run is stopped meanwhile, and soon the engine blocks too, as nobody reads its bytes.
  Ended change_while_it_is_read(const E2eFixture& fixture, const std::function<void()>& change) {
    Process run = fixture.begin({"backup", container});
    wait_until("the engine reads the large file", 30s,
               [&] { return read_position(file).value_or(0) > 0; });
    run.signal(SIGSTOP);
    REQUIRE(read_position(file).value_or(large) < large / 2);
    change();
    run.signal(SIGCONT);
    return run.wait();
  }

  std::string volume, file, container;
};

void check_named(const E2eFixture& fixture, const Caught& caught, const Ended& ended) {
  INFO(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "big.bin"));
  fixture.check_nothing_left();
  CHECK_FALSE(paused(caught.container));
}

}  // namespace

TEST_CASE(
    "E, a volume and a bind mount are backed up, and restored by hand into a second container") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module module(fixture);
  REQUIRE(run({std::string(BBA_SOURCE_DIR) + "/fixtures/seed-files",
               volume_path(module.volume) + "/upload"})
              .exit_code == 0);
  write_file(module.bind + "/hosts.csv", "host,port\n");
  REQUIRE(::chown((module.bind + "/hosts.csv").c_str(), 1234, 4321) == 0);
  auto in_volume = inventory(volume_path(module.volume));
  const auto in_bind = inventory(module.bind);
  REQUIRE(in_volume.size() > 400);
  const std::string life = life_of(module.container);

  const Ended ended = fixture.bba({"backup", module.container});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(module.container) == life);
  CHECK(fixture.journals() == Strings{});

  const Json manifest = fixture.manifest();
  CHECK(manifest.at("class") == "E");
  CHECK(manifest.at("consistency").at("mode") == "pause");
  REQUIRE(manifest.at("consistency").at("paused").size() == 1);
  CHECK(manifest.at("consistency").at("paused")[0].at("name") == module.container);
  REQUIRE(manifest.at("artifacts").size() == 2);
  const Json& data = manifest.at("artifacts")[0];
  CHECK(data.at("source") == "/app/data");
  CHECK(data.at("part") == "app-data");
  CHECK(manifest.at("artifacts")[1].at("source") == "/app/import");
  CHECK(ended.out == fixture.backups() + "/" + data.at("file").get<std::string>() + "\n" +
                         fixture.backups() + "/" +
                         manifest.at("artifacts")[1].at("file").get<std::string>() + "\n");
  // Every file of the inventory, which leaves out the socket as well.
  CHECK(data.at("found").at("entries") == in_volume.size());

  // What the engine's tar does not contain, and where that is reported.
  CHECK(data.at("found").at("not_carried") ==
        Json{{"sockets", 1}, {"user_xattrs", 1}, {"acls", 2}});
  const std::string warnings = dump_json(manifest.at("warnings"));
  CHECK(has(warnings, "/app/data: user.* extended attributes of 1 entries"));
  CHECK(has(warnings, "/app/data: POSIX ACLs of 2 entries"));
  CHECK(has(ended.err, "user.* extended attributes of 1 entries"));
  CHECK(has(ended.err, "POSIX ACLs of 2 entries"));

  const std::string volume = fixture.volume("restored");
  const std::string bind = fixture.path("restored");
  fs::create_directory(bind);
  const std::string second = fixture.start(
      "second", {"--volume", volume + ":/app/data", "--volume", bind + ":/app/import"}, image);
  const Ended restored = fixture.restore_by_hand(second);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  auto back = inventory(volume_path(volume));
  // The archive has a time before 1970 as it is; the engine that unpacks it makes 1970 of it.
  const std::string old = "upload/times/before-the-epoch";
  const Ended listed =
      run({"tar", "--list", "--verbose", "--full-time", "--utc", "--file",
           fixture.backups() + "/" + data.at("file").get<std::string>(), "data/" + old});
  CHECK(has(listed.out, "1965-03-01 12:00:00 data/" + old));
  REQUIRE(in_volume.erase(old) == 1);
  CHECK(back.erase(old) == 1);
  CHECK(difference(in_volume, back) == "");
  CHECK(difference(in_bind, inventory(bind)) == "");
}

TEST_CASE(
    "E, a mount inside a mount is a part of its own or left out, and all parts are restored") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string inner = fixture.volume("inner");
  const std::string bind = fixture.path("import");
  fs::create_directory(bind);
  write_file(fixture.path("config.yml"), "key: value\n");
  make_socket(fixture.path("app.sock"));
  const auto mounts = [&](const std::string& outer, const std::string& in,
                          const std::string& host) {
    return Strings{"--volume", outer + ":/app/data",
                   "--volume", in + ":/app/data/deep/inner",
                   "--volume", host + ":/app/data/import",
                   "--volume", fixture.path("config.yml") + ":/app/data/config.yml:ro",
                   "--volume", fixture.path("app.sock") + ":/app/data/app.sock",
                   "--tmpfs",  "/app/data/cache"};
  };
  const std::string container = fixture.start("kuma", mounts(volume, inner, bind), image);
  docker({"exec", container, "sh", "-ec",
          "cd /app/data; echo outer >file; echo inner >deep/inner/file; echo bind >import/file;"
          "echo gone >cache/file; chown 1234:4321 deep/inner; chmod 2770 deep/inner"});
  const Ended ended = fixture.bba({"backup", container});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json artifacts = fixture.manifest().at("artifacts");
  REQUIRE(artifacts.size() == 3);
  CHECK(artifacts[0].at("source") == "/app/data");
  CHECK(artifacts[1].at("source") == "/app/data/deep/inner");
  CHECK(artifacts[2].at("source") == "/app/data/import");
  for (const Json& artifact : artifacts) CHECK(artifact.at("found").at("files") == 1);
  const Ended listed =
      run({"tar", "-tzf", fixture.backups() + "/" + artifacts[0].at("file").get<std::string>()});
  CHECK(listed.out ==
        "data/\ndata/cache/\ndata/deep/\ndata/deep/inner/\ndata/file\ndata/import/\n");
  CHECK(fixture.bba({"verify", container}).exit_code == 0);
  const Ended drilled = fixture.bba({"drill", container});
  INFO(drilled.err);
  CHECK(drilled.exit_code == 0);

  // Into a container with the same mounts, which is stopped once and started once.
  const std::string outer_back = fixture.volume("outer-back");
  const std::string inner_back = fixture.volume("inner-back");
  const std::string bind_back = fixture.path("import-back");
  fs::create_directory(bind_back);
  const std::string second =
      fixture.start("second", mounts(outer_back, inner_back, bind_back), image);
  const EventLog log({second});
  const Ended restored = fixture.restore_by_hand(second);
  INFO(restored.err);
  REQUIRE(restored.exit_code == 0);
  const Strings events = log.events();
  CHECK(std::count(events.begin(), events.end(), "stop " + second) == 1);
  CHECK(std::count(events.begin(), events.end(), "start " + second) == 1);
  CHECK(difference(inventory(volume_path(inner)), inventory(volume_path(inner_back))) == "");
  CHECK(difference(inventory(bind), inventory(bind_back)) == "");
  CHECK(read_file(volume_path(outer_back) + "/file") == "outer\n");
  CHECK(docker({"exec", second, "cat", "/app/data/config.yml"}) == "key: value");
}

TEST_CASE("E, --path of a directory above mounts archives each mount below it, and no other") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string git = fixture.volume("git");
  const std::string other = fixture.volume("other");
  write_file(volume_path(volume) + "/app.ini", "x\n");
  write_file(volume_path(git) + "/repository", "precious\n");
  const std::string container = fixture.start("forgejo",
                                              {"--volume", volume + ":/data", "--volume",
                                               git + ":/data/git", "--volume", other + ":/other"},
                                              image);
  const std::string stranger = fixture.start("stranger", {"--volume", other + ":/x"}, image);
  const Ended planned = fixture.bba({"plan", container, "--path", "/data/", "--json"});
  REQUIRE(planned.exit_code == 0);
  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  std::map<std::string, bool> taken;
  for (const Json& mount : plan->at("mounts")) taken[mount.at("destination")] = mount.at("taken");
  CHECK(taken ==
        std::map<std::string, bool>{{"/data", true}, {"/data/git", true}, {"/other", false}});
  const EventLog log({stranger});
  const Ended ended = fixture.bba({"backup", container, "--path", "/data/"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json artifacts = fixture.manifest().at("artifacts");
  REQUIRE(artifacts.size() == 2);
  CHECK(artifacts[1].at("source") == "/data/git");
  CHECK(artifacts[1].at("found").at("files") == 1);
  // A container that shares only what is not archived is not paused.
  CHECK(log.events() == Strings{});
}

TEST_CASE("E, a bind mount of a symlink archives the link's target, and finds who shares it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  fs::create_directories(fixture.path("disk1/data"));
  write_file(fixture.path("disk1/data/file"), "content");
  fs::create_directory_symlink("disk1/data", fixture.path("data"));
  const std::string container =
      fixture.start("kuma", {"--volume", fixture.path("data") + ":/data"}, image);
  const std::string sibling =
      fixture.start("sibling", {"--volume", fixture.path("disk1") + ":/disk"}, image);
  const Ended ended = fixture.bba({"backup", container});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("artifacts")[0].at("found").at("files") == 1);
  CHECK(manifest.at("consistency").at("paused").size() == 2);
}

TEST_CASE("E, a backup directory inside the archived data is left out of every set") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string root = fs::path(fixture.backups()).parent_path();
  write_file(root + "/file", "content");
  const std::string container = fixture.start("kuma", {"--volume", root + ":/platform"}, image);
  const Ended planned = fixture.bba({"plan", container});
  CHECK(has(planned.out, "/platform/backups is left out of the archive of /platform"));
  for (int i = 0; i < 2; ++i) {
    const Ended ended = fixture.bba({"backup", container});
    INFO(ended.err);
    REQUIRE(ended.exit_code == 0);
    CHECK(has(ended.err, "/platform/backups is left out of the archive of /platform"));
    const std::string artifact = ended.out.substr(0, ended.out.find('\n'));
    const Ended listed = run({"tar", "-tzf", artifact});
    CHECK(has(listed.out, "platform/file\n"));
    CHECK_FALSE(has(listed.out, "platform/backups"));
  }
}

TEST_CASE("E, a directory of 250,000 files takes little more memory than their names") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // In memory: a disk would take a minute.
  fixture.small_backup_directory("256m");
  const std::string many = fixture.backups() + "/many";
  fs::create_directory(many);
  const Fd directory(::open(many.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  constexpr int files = 250'000;
  int made = 0;
  for (int i = 0; i < files; ++i) {
    const std::string name = fmt::format("a-name-of-an-ordinary-length-{:010}.json", i);
    if (::mknodat(directory.get(), name.c_str(), S_IFREG | 0644, 0) == 0) ++made;
  }
  REQUIRE(made == files);
  const std::string container = fixture.create("kuma", {"--volume", many + ":/data"}, image);
  const Ended planned = fixture.bba({"plan", container, "--json"});
  REQUIRE(planned.exit_code == 0);
  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  CHECK(plan->at("artifacts")[0].at("expected_bytes") == 512u * (files + 1));
  MESSAGE("resident: " << planned.most_resident_bytes);
  CHECK(planned.most_resident_bytes < 32 << 20);
}

TEST_CASE(
    "E, the engine's tar header of a file of 9 GiB is understood, and a signal ends the run") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("data");
  const std::string tree = volume_path(volume) + "/upload";
  Setting setting;
  setting.environment["BBA_SEED_HUGE"] = "1";
  REQUIRE(run({std::string(BBA_SOURCE_DIR) + "/fixtures/seed-files", tree}, setting).exit_code ==
          0);
  const std::string huge = tree + "/sparse/huge";
  REQUIRE(fs::file_size(huge) == 9ULL << 30);
  const std::string container = fixture.start("kuma", {"--volume", volume + ":/data"}, image);
  const std::string life = life_of(container);
  Process run = fixture.begin({"backup", container});
  // A size that was read otherwise than it is on this host ends the run at the header with code 6.
  // All of it would take the engine a minute.
  wait_until("the engine is well inside of the file", 60s,
             [&] { return !run.running() || read_position(huge).value_or(0) > 128 << 20; });
  CHECK(run.running());
  run.signal(SIGTERM);
  const Ended ended = run.wait(10s);
  INFO(ended.err);
  CHECK(ended.exit_code == 143);
  CHECK(life_of(container) == life);
  fixture.check_nothing_left();
}

TEST_CASE("E, a SQLite database under constant writes is restored intact, and its writer goes on") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module module(fixture, {"sqlite-writer", "/app/data/kuma.db"});
  const std::string database = volume_path(module.volume) + "/kuma.db";
  const auto written = [&](const std::string& container) {
    return docker({"exec", container, "sqlite3", "-cmd", ".timeout 5000", "/app/data/kuma.db",
                   "SELECT max(id) FROM heartbeat"});
  };
  wait_until("rows in the database", 30s, [&] {
    return fs::exists(database + "-wal") && fs::file_size(database + "-wal") > 100'000;
  });
  const std::string life = life_of(module.container);
  const Ended ended = fixture.bba({"backup", module.container});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(module.container) == life);
  const std::string then = written(module.container);
  wait_until("more rows after the backup", 30s, [&] { return written(module.container) != then; });

  const std::string volume = fixture.volume("restored");
  fs::create_directory(fixture.path("restored"));
  const std::string second = fixture.start(
      "second",
      {"--volume", volume + ":/app/data", "--volume", fixture.path("restored") + ":/app/import"},
      image);
  REQUIRE(fixture.restore_by_hand(second).exit_code == 0);
  CHECK(docker({"exec", second, "sqlite3", "/app/data/kuma.db", "PRAGMA integrity_check"}) == "ok");
  CHECK(std::stol(written(second)) > 0);
}

TEST_CASE("E, plan changes nothing and says what is left out and why, and backup does the same") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const Module module(fixture);
  const std::string life = life_of(module.container);
  const EventLog plan_log({module.container});
  const Ended planned = fixture.bba({"plan", module.container, "--json"});
  REQUIRE(planned.exit_code == 0);
  CHECK(plan_log.events() == Strings{});
  CHECK(life_of(module.container) == life);
  CHECK_FALSE(fs::exists(fixture.backups()));

  const auto plan = parse_json(planned.out);
  REQUIRE(plan);
  std::map<std::string, std::string> taken, left_out;
  for (const Json& mount : plan->at("mounts")) {
    (mount.at("taken") ? taken : left_out)[mount.at("destination")] = mount.at("why");
  }
  CHECK(taken == std::map<std::string, std::string>{{"/app/data", "a volume"},
                                                    {"/app/import", "a writable bind"}});
  CHECK(left_out == std::map<std::string, std::string>{
                        {"/app/cache", "tmpfs: gone with the container anyway"},
                        {"/app/config", "a read-only bind: this container does not change it"},
                        {"/run/app.sock", "a socket or a device, not data"},
                        {"/var/run/docker.sock", "the Docker Engine's socket"}});

  // The engine's events, written as the requests that caused them.
  const EventLog backup_log({module.container});
  REQUIRE(fixture.bba({"backup", module.container}).exit_code == 0);
  const std::string url = "POST /containers/" + module.container;
  std::size_t archives = 0;
  Strings requests;
  for (const std::string& event : backup_log.events()) {
    if (event == "pause " + module.container) requests.push_back(url + "/pause");
    if (event == "unpause " + module.container) requests.push_back(url + "/unpause");
    if (event == "archive-path " + module.container) {
      requests.push_back("GET /containers/" + module.container + "/archive?path=" +
                         std::array{"%2Fapp%2Fdata", "%2Fapp%2Fimport"}.at(archives++));
    }
    if (event.starts_with("exec")) requests.push_back(event);
  }
  CHECK(plan->at("requests") == Json(requests));
}

TEST_CASE("E, the backup directory's file system is full: exit 8, and nothing stays paused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  fixture.small_backup_directory("1m");
  const Module module(fixture);
  REQUIRE(run({"dd", "if=/dev/urandom", "of=" + volume_path(module.volume) + "/noise", "bs=1M",
               "count=16"})
              .exit_code == 0);
  const std::string life = life_of(module.container);
  const Ended ended = fixture.bba({"backup", module.container});
  INFO(ended.err);
  CHECK(ended.exit_code == 8);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "No space left on device"));
  fixture.check_nothing_left();
  CHECK(life_of(module.container) == life);
}

TEST_CASE(
    "E, a container that is not running or that the operator paused is backed up and stays so") {
  NEEDS_ENGINE();
  for (const std::string state : {"created", "paused"}) {
    CAPTURE(state);
    E2eFixture fixture;
    const std::string volume = fixture.volume("data");
    write_file(volume_path(volume) + "/file", "content");
    const std::string container =
        state == "paused" ? fixture.start("kuma", {"--volume", volume + ":/data"}, image)
                          : fixture.create("kuma", {"--volume", volume + ":/data"}, image);
    if (state == "paused") docker({"pause", container});
    const std::string life = life_of(container);
    const Ended ended = fixture.bba({"backup", container});
    INFO(ended.err);
    CHECK(ended.exit_code == 0);
    CHECK(life_of(container) == life);
    CHECK(life.starts_with(state + " "));
    const Json manifest = fixture.manifest();
    CHECK(manifest.at("consistency").at("mode") == (state == "paused" ? "paused" : "stopped"));
    CHECK(manifest.at("consistency").at("paused").empty());
    CHECK(manifest.at("artifacts")[0].at("found").at("files") == 1);
    CHECK(fixture.journals() == Strings{});
  }
}

TEST_CASE("E, a container without data mounts: exit 4, and --path archives what it names") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string container = fixture.start("bare", {"--tmpfs", "/cache"}, image);
  const Ended refused = fixture.bba({"backup", container});
  CHECK(refused.exit_code == 4);
  CHECK(has(refused.err, "no mount that holds data"));
  CHECK(has(refused.err, "--path"));
  fixture.check_nothing_left();

  docker({"exec", container, "sh", "-ec", "mkdir /srv/data && echo content > /srv/data/file"});
  const std::string life = life_of(container);
  const Ended ended = fixture.bba({"backup", container, "--path", "/srv//data/"});
  INFO(ended.err);
  REQUIRE(ended.exit_code == 0);
  CHECK(life_of(container) == life);
  const Json manifest = fixture.manifest();
  CHECK(manifest.at("artifacts")[0].at("source") == "/srv/data");
  CHECK(has(dump_json(manifest.at("artifacts")[0].at("restore")),
            "| docker cp - \\\"$TARGET\\\":/srv"));
  CHECK(manifest.at("artifacts")[0].at("found").at("files") == 1);
  CHECK(manifest.at("consistency").at("paused")[0].at("name") == container);

  E2eFixture other;
  const std::string stopped = other.create("bare", {}, image);
  CHECK(other.bba({"backup", stopped, "--path", "/srv"}).exit_code == 4);
  const Ended missing = other.bba({"backup", container, "--path", "/no/such"});
  CHECK(missing.exit_code != 0);
  CHECK(has(missing.err, "/no/such"));
  docker({"exec", container, "ln", "-s", "/srv/data", "/srv/link"});
  const Ended link = other.bba({"backup", container, "--path", "/srv/link"});
  CHECK(link.exit_code == 6);
  CHECK(has(link.err, "/srv/link is a symlink to /srv/data"));
  other.check_nothing_left();
  CHECK(life_of(container) == life);
}

TEST_CASE("E, other containers that can write to a shared volume are paused and resumed, too") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Caught caught(fixture);
  const auto beside = [&](const std::string& what, const std::string& mount) {
    return fixture.start(what, {"--volume", mount}, image);
  };
  const std::string sibling = beside("sibling", caught.volume + ":/elsewhere");
  const std::string resting = beside("resting", caught.volume + ":/elsewhere");
  const std::string reader = beside("reader", caught.volume + ":/elsewhere:ro");
  const std::string stranger = beside("stranger", "/data");
  docker({"pause", resting});
  const Strings all{caught.container, sibling, resting, reader, stranger};
  Strings before;
  for (const std::string& one : all) before.push_back(life_of(one));
  const EventLog log({resting, reader, stranger});

  const Ended ended = caught.change_while_it_is_read(fixture, [&] {
    CHECK(paused(caught.container));
    CHECK(paused(sibling));
    CHECK(paused(resting));
    CHECK_FALSE(paused(reader));
    CHECK_FALSE(paused(stranger));
  });
  INFO(ended.err);
  CHECK(ended.exit_code == 0);
  CHECK(fixture.manifest().at("consistency").at("paused").size() == 2);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(life_of(all[i]) == before[i]);
  // The operator's pause was not touched, not even for a moment.
  CHECK(log.events() == Strings{});
}

TEST_CASE("E, a file that is truncated on the host while it is read: exit 6 names it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Caught caught(fixture);
  const std::string life = life_of(caught.container);
  const Ended ended =
      caught.change_while_it_is_read(fixture, [&] { fs::resize_file(caught.file, 4096); });
  check_named(fixture, caught, ended);
  CHECK(life_of(caught.container) == life);
}

TEST_CASE("E, a file that grows on the host while it is read: exit 6 names it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Caught caught(fixture);
  const Ended ended =
      caught.change_while_it_is_read(fixture, [&] { fs::resize_file(caught.file, large + 1); });
  check_named(fixture, caught, ended);
}

TEST_CASE("E, a file that is overwritten on the host while it is read: exit 6 names it") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Caught caught(fixture);
  const Ended ended = caught.change_while_it_is_read(fixture, [&] {
    const Fd file(::open(caught.file.c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(::pwrite(file.get(), "torn", 4, static_cast<off_t>(large / 2)) == 4);
  });
  check_named(fixture, caught, ended);
}

TEST_CASE("E, a file that is deleted on the host before the engine reads it: exit 6, or left out") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Caught caught(fixture);
  const std::string later = fs::path(caught.file).replace_filename("later.txt");
  const Ended ended = caught.change_while_it_is_read(fixture, [&] { fs::remove(later); });
  INFO(ended.err);
  // It depends on timing: if it is gone for both, the archive is complete without it.
  if (ended.exit_code == 0) {
    CHECK(fixture.manifest().at("artifacts")[0].at("found").at("files") == 1);
  } else {
    CHECK(ended.exit_code == 6);
    // If a second has passed meanwhile, its changed directory is found first.
    CHECK((has(ended.err, "later.txt") || has(ended.err, "/data: modified at")));
    fixture.check_nothing_left();
  }
  CHECK_FALSE(paused(caught.container));
}
