// Rollbacks of services whose image was changed: what comes back, what is put aside, and what is
// left where one fails or is killed at one of its steps.
#include "e2e/postgres.hpp"
#include "e2e/restore_support.hpp"

namespace e2e {

namespace {

// A second image, like the first one but for its id.
class OtherImage {
 public:
  OtherImage(E2eFixture& fixture, const std::string& container)
      : tag(fixture.name("image") + ":2") {
    docker({"commit", "--change", "LABEL generation=2", "--change", "LABEL bba.fixture=1",
            container, tag});
  }
  OtherImage(const OtherImage&) = delete;
  OtherImage& operator=(const OtherImage&) = delete;
  ~OtherImage() {
    try {
      docker({"rmi", "--force", tag});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cleaning up: %s\n", error.what());
    }
  }

  std::string tag;
};

// A network of a service's own.
class Network {
 public:
  explicit Network(E2eFixture& fixture) : name(fixture.name("network")) {
    docker({"network", "create", "--label", "bba.fixture=1", name});
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network() {
    try {
      docker({"network", "rm", name});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cleaning up: %s\n", error.what());
    }
  }

  std::string name;
};

// The containers that rollbacks of these have put aside.
Strings put_aside(const std::string& container) {
  const std::string listed = docker(
      {"ps", "--all", "--format", "{{.Names}}", "--filter", "name=^" + container + "-replaced-"});
  Strings names;
  for (const std::string_view line : split(listed, '\n')) {
    if (!line.empty()) names.emplace_back(line);
  }
  return names;
}

class PutAside {
 public:
  explicit PutAside(std::string container) : container_(std::move(container)) {}
  PutAside(const PutAside&) = delete;
  PutAside& operator=(const PutAside&) = delete;
  ~PutAside() {
    try {
      for (const std::string& name : put_aside(container_)) {
        docker({"rm", "--force", "--volumes", name});
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cleaning up: %s\n", error.what());
    }
  }

 private:
  std::string container_;
};

// A service, backed up, then made anew from another image, which changes the data at once.
class UpgradedService {
 public:
  explicit UpgradedService(E2eFixture& fixture, const std::string& then = "exec sleep 1000000")
      : network(fixture),
        volume(fixture.volume("data")),
        module(started(fixture, {"sh", "-c", "if [ -e /data/bad ]; then exit 3; fi; " + then})),
        parked(module),
        aside(module),
        other_image(fixture, module) {
    shell(module, "echo one >/data/schema; echo one >/cache/c");
    old_state = inventory(volume_path(volume));
    succeeds(fixture, {"backup", module});
    const Json before = inspect(module);
    for (const Json& mount : before.at("Mounts")) {
      if (mount.at("Destination") == "/cache") cache = mount.at("Name");
    }
    docker({"rm", "--force", module});
    run_again({"sh", "-c",
               "grep -q two /data/schema || echo two >/data/schema; echo two >/cache/c; "
               "exec sleep 1000000"});
    wait_until("the new image has changed the data", 60s,
               [&] { return read_file(volume_path(volume) + "/schema") == "two\n"; });
    wait_until("and its cache", 60s,
               [&] { return read_file(volume_path(cache) + "/c") == "two\n"; });
    new_state = inventory(volume_path(volume));
  }

  void run_again(const Strings& command) {
    Strings arguments{"run",       "--detach",        "--name",       module,
                      "--restart", "unless-stopped",  "--network",    network.name,
                      "--env",     "GENERATION=two",  "--volume",     volume + ":/data",
                      "--volume",  cache + ":/cache", other_image.tag};
    arguments.insert(arguments.end(), command.begin(), command.end());
    docker(arguments);
  }

  UpgradedService(const UpgradedService&) = delete;
  UpgradedService& operator=(const UpgradedService&) = delete;
  // Before its network and its image are removed.
  ~UpgradedService() {
    try {
      docker({"rm", "--force", "--volumes", module});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cleaning up: %s\n", error.what());
    }
  }

  Inventory now() const { return inventory(volume_path(volume)); }
  std::string generation() const { return shell(module, "echo $GENERATION; cat /cache/c"); }
  std::string image() const { return inspect(module).at("Config").at("Image"); }

  void check_is_old() const {
    CHECK(runs(module));
    CHECK(difference(old_state, now()) == "");
    CHECK(generation() == "one\none");
    CHECK(image() == files_image);
    CHECK(restart_policy(module) == "always");
  }
  void check_is_new() const {
    CHECK(runs(module));
    CHECK(difference(new_state, now()) == "");
    CHECK(generation() == "two\ntwo");
    CHECK(image() == other_image.tag);
    CHECK(restart_policy(module) == "unless-stopped");
  }

  // Not by the fixture, which lets no container into a network.
  std::string started(E2eFixture& fixture, const Strings& command) const {
    const std::string name = fixture.name("service");
    Strings arguments{"run",
                      "--detach",
                      "--name",
                      name,
                      "--restart",
                      "always",
                      "--network",
                      network.name,
                      "--network-alias",
                      "the-service",
                      "--env",
                      "GENERATION=one",
                      "--label",
                      "owner=me",
                      "--volume",
                      volume + ":/data",
                      "--volume",
                      "/cache",
                      files_image};
    arguments.insert(arguments.end(), command.begin(), command.end());
    docker(arguments);
    return name;
  }

  Network network;
  std::string volume;
  std::string module;
  std::string cache;  // the volume without a name of its own
  Parked parked;
  PutAside aside;
  OtherImage other_image;
  Inventory old_state, new_state;
};

}  // namespace

TEST_CASE("rollback, the image was changed: data, image and configuration of then, and undo") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  UpgradedService service(fixture);
  // It lives in the service's network, and cannot be started without the very container.
  const std::string beside = fixture.name("beside");
  fixture.adopt(beside);
  docker({"run", "--detach", "--restart", "always", "--volume", "/notes", "--name", beside,
          "--network", "container:" + service.module, files_image, "sleep", "1000000"});
  shell(beside, "echo kept >/notes/n");
  const PutAside beside_aside(beside);

  // A restore leaves the image, and says what to do.
  CHECK(has(succeeds(fixture, {"restore", service.module, "--dry-run"}).out, "`rollback` brings"));
  const Ended plan = succeeds(fixture, {"rollback", service.module, "--dry-run"});
  CHECK(has(plan.out, std::string("made anew from ") + files_image));
  CHECK(has(plan.out, beside + ": stopped, and started again"));
  service.check_is_new();

  const Ended done = succeeds(fixture, {"rollback", service.module, "--yes"});
  service.check_is_old();
  const Json settings = inspect(service.module);
  CHECK(settings.at("Config").at("Labels").at("owner") == "me");
  const Json& aliases =
      settings.at("NetworkSettings").at("Networks").at(service.network.name).at("Aliases");
  CHECK(std::find(aliases.begin(), aliases.end(), "the-service") != aliases.end());
  CHECK(inspect(beside).at("HostConfig").at("NetworkMode") ==
        "container:" + settings.at("Id").get<std::string>());
  CHECK(runs(beside));
  const Strings aside = put_aside(service.module);
  REQUIRE(aside.size() == 1);
  CHECK_FALSE(runs(aside.front()));
  CHECK(restart_policy(aside.front()) == "no");
  CHECK(has(done.out, aside.front()));
  CHECK(shell(beside, "cat /notes/n") == "kept");
  CHECK(restart_policy(beside) == "always");
  // Another time there is nothing to be replaced.
  CHECK(has(succeeds(fixture, {"rollback", service.module, "--dry-run"}).out, "it stays"));
  // No command takes it for the service, though it has its labels and volumes.
  CHECK(has(succeeds(fixture, {"plan", service.module}).out, "container    " + service.module));
  succeeds(fixture, {"backup", service.module});
  CHECK_FALSE(has(succeeds(fixture, {"restore", service.module, "--dry-run"}).out, aside.front()));

  succeeds(fixture, {"restore", service.module, "--undo", "--yes"});
  service.check_is_new();
  CHECK(runs(beside));
  // As `docker compose up` may do with one that it does not expect.
  for (const std::string& name : put_aside(service.module)) docker({"rm", "--force", name});
  const Ended again = succeeds(fixture, {"rollback", service.module, "--undo", "--yes"});
  service.check_is_old();
  CHECK(runs(beside));
  CHECK(shell(beside, "cat /notes/n") == "kept");
  CHECK(restart_policy(beside) == "always");

  const Ended pruned = succeeds(fixture, {"prune", service.module, "--parked"});
  CHECK(has(pruned.out, "container " + service.module + "-replaced-"));
  CHECK(put_aside(service.module) == Strings{});
  CHECK(put_aside(beside) == Strings{});
  CHECK(service.parked.volumes() == Strings{});
  for (const std::string& name : names_in(fixture.state())) CHECK(name.ends_with(".lock"));
  service.check_is_old();
}

TEST_CASE("rollback, what was put aside is somebody's service again: prune leaves it alone") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const UpgradedService service(fixture);
  succeeds(fixture, {"rollback", service.module, "--yes"});
  const Strings aside = put_aside(service.module);
  REQUIRE(aside.size() == 1);
  docker({"rm", "--force", service.module});
  docker({"rename", aside.front(), service.module});
  docker({"start", service.module});
  shell(service.module, "echo precious >/cache/c");
  succeeds(fixture, {"prune", service.module, "--parked"});
  CHECK(runs(service.module));
  CHECK(shell(service.module, "cat /cache/c") == "precious");
}

TEST_CASE("rollback, a volume that the container had is gone: refused, and none is made empty") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const UpgradedService service(fixture);
  docker({"rm", "--force", service.module});
  docker({"volume", "rm", service.cache});
  docker({"run", "--detach", "--name", service.module, "--volume", service.volume + ":/data",
          "--volume", "/cache", service.other_image.tag, "sleep", "1000000"});
  const std::string life = life_of(service.module);
  check_refused(fixture, {"rollback", service.module, "--yes"}, 4,
                "volume " + service.cache + ", which the container that was backed up has");
  CHECK(life_of(service.module) == life);
  CHECK_FALSE(has(docker({"volume", "ls", "--quiet"}), service.cache));
}

TEST_CASE("rollback, nothing but the data was changed: it is a restore") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const FileService service(fixture);
  const std::string id = inspect(service.module).at("Id");
  const Ended plan = succeeds(fixture, {"rollback", service.module, "--dry-run"});
  CHECK(has(plan.out, "the image and the configuration that were backed up: it stays"));
  succeeds(fixture, {"rollback", service.module, "--yes"});
  CHECK(difference(service.old_state, service.now()) == "");
  CHECK(inspect(service.module).at("Id") == id);
  CHECK(put_aside(service.module) == Strings{});
}

TEST_CASE("rollback, the image is gone or the set does not know the container: refused") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  UpgradedService service(fixture);
  const Ended forward = succeeds(fixture, {"backup", service.module});
  docker({"rm", "--force", service.module});
  docker({"rmi", "--force", service.other_image.tag});
  const std::string image = files_image;
  docker({"run", "--detach", "--name", service.module, "--volume", service.volume + ":/data",
          "--volume", service.cache + ":/cache", image, "sleep", "1000000"});
  const std::string life = life_of(service.module);
  check_refused(fixture, {"rollback", service.module, "--yes"}, 4, "the image that was backed up");
  CHECK(life_of(service.module) == life);
  CHECK(difference(service.new_state, service.now()) == "");

  // What a version before this one has taken, or somebody has damaged.
  std::string configuration;
  for (const std::string& name : names_in(fixture.backups())) {
    if (name.ends_with(".container.json")) configuration = fixture.backups() + "/" + name;
  }
  write_file(configuration, read_file(configuration) + " ");
  const Ended broken = fixture.bba({"verify", service.module});
  CHECK(broken.exit_code == 7);
  CHECK(has(broken.out, ".container.json: it has "));
  CHECK(has(succeeds(fixture, {"restore", service.module, "--dry-run"}).err, "passed over"));
  CHECK(life_of(service.module) == life);
}

TEST_CASE("rollback, what was backed up does not stay up any more: exit 6, and all is as it was") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  UpgradedService service(fixture, "rm /data/bad; touch /data/bad; exec sleep 1000000");
  // The set has /data/bad, so that what is made anew ends at once.
  CHECK(service.old_state.contains("bad"));
  const std::string life = life_of(service.module);
  const Ended ended = fixture.bba({"rollback", service.module, "--yes"});
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 6);
  CHECK(has(ended.err, "does not stay up on what was restored"));
  service.check_is_new();
  CHECK(put_aside(service.module) == Strings{});
  succeeds(fixture, {"prune", "--parked"});
  CHECK(service.parked.volumes() == Strings{});
}

TEST_CASE("rollback, killed at each step: the state before or the finished one, and it runs") {
  NEEDS_ENGINE();
  // The new container is made; the names are exchanged, and half exchanged; it is started; proven.
  struct Step {
    std::string request;
    bool with_guard;
    bool proven;
  };
  for (const Step& step :
       {Step{"/containers/create?name=e2e", true, false}, Step{"/rename?", false, false},
        Step{"/rename?name=MODULE HTTP", true, false}, Step{"/start", false, false},
        Step{"/start", true, false}, Step{"\"Name\":\"always\"", true, true}}) {
    CAPTURE(step.request);
    CAPTURE(step.with_guard);
    E2eFixture fixture;
    const UpgradedService service(fixture);
    std::string request = step.request;
    if (const std::size_t at = request.find("MODULE"); at != request.npos) {
      request.replace(at, 6, service.module);
    }
    kill_restore(fixture, service.module, request, step.with_guard,
                 step.proven ? "finished" : "undone", {"rollback"});
    if (step.proven) {
      service.check_is_old();
      CHECK(put_aside(service.module).size() == 1);
    } else {
      service.check_is_new();
      CHECK(put_aside(service.module) == Strings{});
    }
  }
}

TEST_CASE("rollback, PostgreSQL 17 does not start on the data of 15: the server of then is back") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string volume = fixture.volume("cluster");
  const Strings options{"--restart", "always",
                        "--env",     "POSTGRES_PASSWORD=s3cret",
                        "--volume",  volume + ":/var/lib/postgresql/data"};
  const std::string module = fixture.start("upgraded-postgres", options, "bba-fixture/postgres:15");
  const Parked parked(module);
  const PutAside aside(module);
  const auto ask = [&](const std::string& sql) {
    return docker({"exec", module, "psql", "-XAtq", "-U", "postgres", "-c", sql});
  };
  const auto answers = [&] {
    return run({"docker", "-H", host(), "exec", module, "pg_isready", "-q", "-h", "127.0.0.1"})
               .exit_code == 0;
  };
  wait_until("a server", 60s, answers);
  ask("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n");
  succeeds(fixture, {"backup", module});
  docker({"rm", "--force", module});
  Strings upgrade{"run", "--detach", "--name", module};
  upgrade.insert(upgrade.end(), options.begin(), options.end());
  upgrade.emplace_back("bba-fixture/postgres:17");
  docker(upgrade);
  wait_until("it ends again and again", 60s,
             [&] { return inspect(module).at("RestartCount").get<int>() > 1; });

  succeeds(fixture, {"rollback", module, "--yes"});
  CHECK(ask("SELECT count(*) FROM t") == "1000");
  CHECK(has(ask("SHOW server_version"), "15."));
  CHECK(restart_policy(module) == "always");
}

}  // namespace e2e
