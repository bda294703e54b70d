// Restores in whose way something comes while they run: a full disk, other runs, people who remove
// or start containers.
#include <algorithm>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "e2e/restore_support.hpp"

namespace e2e {

namespace fs = std::filesystem;

namespace {

// A file system of its own, which can be filled.
class SmallDisk {
 public:
  SmallDisk(std::string path, const std::string& size) : path_(std::move(path)) {
    fs::create_directory(path_);
    const std::string options = "mode=0755,size=" + size;
    if (::mount("e2e", path_.c_str(), "tmpfs", 0, options.c_str()) != 0) {
      throw std::runtime_error("mounting a tmpfs at " + path_);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() { ::umount2(path_.c_str(), MNT_DETACH); }

  std::uint64_t free_bytes() const {
    struct statvfs status {};
    if (::statvfs(path_.c_str(), &status) != 0) throw std::runtime_error(path_);
    return std::uint64_t{status.f_bavail} * status.f_frsize;
  }
  void fill() const {
    const Fd file(::open((path_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!file || ::posix_fallocate(file.get(), 0, static_cast<off_t>(free_bytes())) != 0) {
      throw std::runtime_error("filling " + path_);
    }
  }
  void empty() const { fs::remove(path_ + "/filler"); }

 private:
  std::string path_;
};

Strings parked_beside(const std::string& directory) {
  Strings names;
  for (const std::string& name : names_in(directory)) {
    if (name.starts_with(".bba-parked-")) names.push_back(name);
  }
  return names;
}

std::string id_of(const std::string& container) {
  return string_member(inspect(container), "Id").value();
}

Ended released(Relay& relay, Process& run) {
  relay.release();
  return run.wait();
}

}  // namespace

TEST_CASE("restore, the disk is full: exit 8, before it is begun and while it is built") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  // 256 MiB have to be free besides.
  const SmallDisk disk(fixture.path("disk"), "300m");
  const std::string directory = fixture.path("disk/data");
  fs::create_directory(directory);
  const std::string module = fixture.start(
      "full", {"--restart", "always", "--volume", directory + ":/data"}, files_image, forever);
  shell(module, "head -c 3000000 /dev/urandom >/data/large; echo old >/data/a");
  succeeds(fixture, {"backup", module});
  shell(module, "rm /data/large; echo new >/data/a");
  const Inventory before = inventory(directory);
  const std::string life = life_of(module);
  const auto check_as_before = [&] {
    disk.empty();
    CHECK(difference(before, inventory(directory)) == "");
    CHECK(life_of(module) == life);
    CHECK(restart_policy(module) == "always");
    CHECK(parked_beside(fixture.path("disk")) == Strings{});
    CHECK(fixture.journals() == Strings{});
  };

  disk.fill();
  check_refused(fixture, {"restore", module, "--yes"}, 8, "too little for a second copy");
  check_as_before();

  Relay relay(fixture);
  Process run = stalled(relay, {"restore", module, "--yes"}, "/archive?");
  CHECK(parked_beside(fixture.path("disk")).size() == 1);
  disk.fill();
  const Ended ended = released(relay, run);
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 8);
  CHECK(has(ended.err, "o space left on device"));
  CHECK(has(ended.err, "hint: "));
  check_as_before();
  fixture.wait_for_guard_to_end();
}

TEST_CASE("restore, other runs meanwhile: exit 9, and a backup of who shares the volume waits") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  const std::string sharer =
      fixture.start("sharer", {"--volume", service.volume + ":/data"}, files_image, forever);
  succeeds(fixture, {"backup", sharer});
  Relay relay(fixture);
  Process run = stalled(relay, {"restore", service.module, "--yes"}, "/archive?");
  // The last one would stop the same containers.
  for (const Strings& arguments :
       {Strings{"restore", service.module, "--yes"},
        Strings{"restore", service.module, "--undo", "--yes"}, Strings{"backup", service.module},
        Strings{"restore", sharer, "--yes"}}) {
    const Ended second = fixture.bba(arguments);
    CAPTURE(second.err);
    CHECK(second.exit_code == 9);
    CHECK(has(second.err, fmt::format("pid {}", run.pid())));
  }
  Process backup = fixture.begin({"backup", sharer});
  wait_until("the backup waits", 60s,
             [&] { return has(backup.err(), "waiting for another run to release"); });
  CHECK(backup.running());
  const Ended restored = released(relay, run);
  CAPTURE(restored.err);
  CHECK(restored.exit_code == 0);
  CHECK(difference(service.old_state, service.now()) == "");
  const Ended backed_up = backup.wait();
  CAPTURE(backed_up.err);
  CHECK(backed_up.exit_code == 0);
  CHECK(runs(sharer));
  // The backup read what was restored, as a whole.
  CHECK(succeeds(fixture, {"verify", sharer}).exit_code == 0);
  shell(sharer, "rm -r /data/deep /data/a");
  const Parked parked(sharer);
  succeeds(fixture, {"restore", sharer, "--yes"});
  CHECK(difference(service.old_state, service.now()) == "");
}

TEST_CASE("restore, the service is removed meanwhile: the data is what it was") {
  NEEDS_ENGINE();
  for (const bool building : {true, false}) {
    CAPTURE(building);
    E2eFixture fixture;
    const FileService service(fixture);
    const std::string user =
        fixture.start("user", {"--volume", service.volume + ":/data"}, files_image, forever);
    Relay relay(fixture);
    Process run =
        stalled(relay, {"restore", service.module, "--yes"},
                building ? "/archive?" : "/containers/" + id_of(service.module) + "/start");
    docker({"rm", "--force", service.module});
    const Ended ended = released(relay, run);
    CAPTURE(ended.err);
    CHECK(ended.exit_code == 4);
    CHECK(has(ended.err, "No such container"));
    CHECK(difference(service.new_state, service.now()) == "");
    CHECK(runs(user));
    CHECK(fixture.journals() == Strings{});
    fixture.wait_for_guard_to_end();
  }
}

TEST_CASE("rollback, the present container is removed meanwhile: nothing is held up by that") {
  NEEDS_ENGINE();
  for (const bool is_stopped_by_then : {false, true}) {
    CAPTURE(is_stopped_by_then);
    E2eFixture fixture;
    const FileService service(fixture);
    const std::string user =
        fixture.start("user", {"--volume", service.volume + ":/data"}, files_image, forever);
    // So that the container differs from the one that was backed up.
    docker({"rm", "--force", service.module});
    docker({"run", "--detach", "--name", service.module, "--network", "none", "--label", "other=1",
            "--volume", service.volume + ":/data", files_image, "sleep", "1000000"});
    const std::string id = id_of(service.module);
    Relay relay(fixture);
    Process run = stalled(relay, {"rollback", service.module, "--yes"},
                          is_stopped_by_then ? "/start" : "/archive?");
    docker({"rm", "--force", id});
    if (!is_stopped_by_then) {
      const Ended ended = released(relay, run);
      CAPTURE(ended.err);
      CHECK(ended.exit_code == 0);
      CHECK(difference(service.old_state, service.now()) == "");
      CHECK(service.runs());
      succeeds(fixture, {"prune", "--parked"});
    } else {
      kill_with_guard(fixture, run);
      relay.hold_at("");
      const Ended recovered = fixture.bba({"recover"});
      CAPTURE(recovered.err);
      CHECK(recovered.exit_code == 11);
      CHECK(has(recovered.err, service.module + " is gone: make it again"));
      CHECK(difference(service.new_state, service.now()) == "");
      CHECK(succeeds(fixture, {"recover"}).out == "");
    }
    CHECK(runs(user));
    CHECK(fixture.journals() == Strings{});
    fixture.wait_for_guard_to_end();
  }
}

TEST_CASE("restore, a container is started on the directory meanwhile: exit 6, and as before") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  Relay relay(fixture);
  Process run = stalled(relay, {"restore", service.module, "--yes"},
                        "/containers/" + id_of(service.module) + "/stop?");
  const std::string intruder =
      fixture.start("intruder", {"--volume", service.volume + ":/data"}, files_image, forever);
  const Ended ended = released(relay, run);
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "is still mounted, by process"));
  CHECK(has(ended.err, "(sleep) at /data"));
  service.check_as_before();
  CHECK(runs(intruder));
  CHECK(service.parked.volumes() == Strings{});
  CHECK(fixture.journals() == Strings{});
  fixture.wait_for_guard_to_end();
}

TEST_CASE("restore, killed while what it has built is removed: recover removes the rest") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string one = fixture.volume("one");
  const std::string two = fixture.volume("two");
  const std::string module = fixture.start(
      "removed", {"--restart", "always", "--volume", one + ":/one", "--volume", two + ":/two"},
      files_image, forever);
  const Parked parked(module);
  shell(module, "echo old >/one/a; echo old >/two/a");
  succeeds(fixture, {"backup", module});
  shell(module, "echo new >/one/a; echo new >/two/a");
  Relay relay(fixture);
  {
    Process run = stalled(relay, {"restore", module, "--yes"}, "/stop?");
    kill_with_guard(fixture, run);
  }
  {
    // The second of the two volumes.
    Strings names = parked.volumes();
    REQUIRE(names.size() == 2);
    std::sort(names.begin(), names.end());
    // The journal's host is the relay.
    Process recover = stalled(relay, {"recover"}, "DELETE /v1.41/volumes/" + names[1]);
    recover.signal(SIGKILL);
    CHECK(recover.wait().exit_code == -SIGKILL);
    CHECK(parked.volumes() == Strings{names[1]});
  }
  relay.hold_at("");
  const Ended recovered = fixture.bba({"recover"});
  CAPTURE(recovered.err);
  CHECK(recovered.exit_code == 0);
  CHECK(has(recovered.out, "undone: the service has what it had before"));
  CHECK(shell(module, "cat /one/a /two/a") == "new\nnew");
  CHECK(restart_policy(module) == "always");
  CHECK(parked.volumes() == Strings{});
  CHECK(parked.containers() == Strings{});
  CHECK(fixture.journals() == Strings{});
}

TEST_CASE("restore, killed while the engine makes what it asked for: nothing is left") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  Relay relay(fixture);
  // Of the container that keeps the volumes: an engine that makes it makes them, too.
  relay.slow_down("/containers/create", 700ms);
  Process run(relay.command({"restore", service.module, "--yes"}));
  wait_until("the request is under way", 60s, [&] { return relay.late() > 0; });
  const std::string since = std::to_string(std::time(nullptr) - 1);
  run.signal(SIGKILL);
  CHECK(run.wait().exit_code == -SIGKILL);
  wait_until("the engine makes it", 20s, [&] {
    const std::string events = docker(
        {"events", "--since", since, "--until", std::to_string(std::time(nullptr)), "--filter",
         "type=container", "--filter", "event=create", "--format", "{{.Actor.Attributes.name}}"});
    return has(events, "bba-parked-" + service.module);
  });
  fixture.wait_for_guard_to_end();
  CHECK(service.parked.volumes() == Strings{});
  CHECK(service.parked.containers() == Strings{});
  // Nor one that the engine has made by the name alone.
  CHECK(docker({"volume", "ls", "--quiet", "--filter", "name=bba-parked-" + service.module}) == "");
  CHECK(fixture.journals() == Strings{});
  service.check_as_before();
}

}  // namespace e2e
