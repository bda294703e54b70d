#include "bba/commands/gate/gate.hpp"

#include <cstdio>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "commands/publish_proof.hpp"
#include "fake_engine.hpp"
#include "unit/commands/sets.hpp"

namespace bba::commands {
namespace {

using namespace test;
using namespace std::chrono_literals;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::send;

std::string container_json(const std::string& id, const std::string& image, bool running = true) {
  return dump_json(
      Json{{"Id", id},
           {"Name", "/web-1"},
           {"Image", image},
           {"State", {{"Status", running ? "running" : "exited"}, {"Running", running}}},
           {"Config", {{"Image", "img:1"}}}});
}

// A module with one good set, taken ten minutes ago, whose container still runs.
struct GateWorld {
  FakeEngine fake;
  BackupFixture world{fake.socket_path()};
  GateRequest request;

  GateWorld() {
    request.module = "web";
    request.at = noon + 10min;
    put_set(world, "web", noon, {{"", tar_content()}});
  }
  void container_runs(const std::string& image = "sha256:aaaa") {
    fake.on("GET /containers/c0ffee/json", {send(answer(200, container_json("c0ffee", image)))});
  }
  GateVerdict judge() { return gate(world.session, request); }
};

std::vector<std::string> conditions(const GateVerdict& verdict) {
  std::vector<std::string> names;
  for (const Refusal& refusal : verdict.refusals) {
    CHECK_FALSE(refusal.why.empty());
    CHECK_FALSE(refusal.run.empty());
    names.push_back(refusal.condition);
  }
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a fresh, whole backup of the running image passes, and is named") {
  GateWorld gate_world;
  gate_world.container_runs();
  const GateVerdict verdict = gate_world.judge();
  CHECK(conditions(verdict) == Names{});
  CHECK(verdict.passed());
  CHECK_FALSE(verdict.by_proof);
  const std::string artifact = gate_world.world.path("web-20261123T120000Z.tar.gz");
  CHECK(verdict.reference() == artifact);
  CHECK(contains(gate_text(verdict), "reference  " + artifact + "\n"));
  CHECK(contains(gate_text(verdict), "sha256:" + verdict.proof->manifest_sha256));
  const Json json = gate_json(verdict);
  CHECK(json["passed"] == true);
  CHECK(json["module"] == "web");
  CHECK(json["class"] == "E");
  CHECK(json["reference"] == artifact);
  CHECK(json["manifest_sha256"] ==
        sha256_of(read_file(gate_world.world.path("web-20261123T120000Z.manifest.json"))));
  CHECK(json["proof"] == "verified");
  CHECK(json["age_seconds"] == 600);
  CHECK(json["source"] == "directory");
  CHECK(json["refusals"] == Json::array());
  // The gate only reads.
  CHECK_FALSE(std::filesystem::exists(gate_world.world.proofs()));
  CHECK_FALSE(std::filesystem::exists(gate_world.world.state()));
}

TEST_CASE("each condition refuses on its own") {
  GateWorld gate_world;
  BackupFixture& world = gate_world.world;
  GateRequest& request = gate_world.request;
  const std::string artifact = world.path("web-20261123T120000Z.tar.gz");

  SUBCASE("no set") {
    request.module = "db";
    CHECK(conditions(gate_world.judge()) == Names{"set"});
    CHECK(gate_world.judge().refusals[0].run == "backup-before-apply backup db");
    world.session.settings.backup_dir = world.temp / "nowhere";
    CHECK(conditions(gate_world.judge()) == Names{"set"});
    CHECK_FALSE(gate_json(gate_world.judge())["passed"].get<bool>());
  }
  SUBCASE("a newer set that cannot be read") {
    gate_world.container_runs();
    write_file(world.path("web-20261123T120500Z.manifest.json"), "{}");
    CHECK(conditions(gate_world.judge()) == Names{"set"});
    // An older one does not matter.
    std::filesystem::rename(world.path("web-20261123T120500Z.manifest.json"),
                            world.path("web-20261122T120500Z.manifest.json"));
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("damaged") {
    gate_world.container_runs();
    write_file(artifact, read_file(artifact).substr(0, 200));
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"whole"});
    CHECK(contains(verdict.refusals[0].why, "cut at byte 200"));
  }
  SUBCASE("incomplete") {
    gate_world.container_runs();
    std::filesystem::remove(artifact);
    CHECK(conditions(gate_world.judge()) == Names{"whole"});
  }
  SUBCASE("the newest counts, not the newest good one") {
    gate_world.container_runs();
    const auto newest = put_set(world, "web", noon + 5min, {{"", tar_content(2)}});
    write_file(world.path(newest.artifacts[0].file), "x");
    CHECK(conditions(gate_world.judge()) == Names{"whole"});
  }
  SUBCASE("too old, to the second") {
    gate_world.container_runs();
    request.at = noon + 1h;
    CHECK(conditions(gate_world.judge()) == Names{});
    request.at = noon + 1h + 1s;
    CHECK(conditions(gate_world.judge()) == Names{"age"});
    request.max_age = 2h;
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("of the future") {
    gate_world.container_runs();
    request.at = noon - 1s;
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"clock"});
    CHECK(contains(verdict.refusals[0].why, "2026-11-23T11:59:59Z"));
    // A new backup would not be the newest.
    CHECK(contains(verdict.refusals[0].run,
                   "move " + world.path("web-20261123T120000Z.manifest.json") + " and its"));
    CHECK(contains(verdict.refusals[0].run, "--ref"));
  }
  SUBCASE("not drilled") {
    gate_world.container_runs();
    request.require = store::ProofLevel::drilled;
    CHECK(conditions(gate_world.judge()) == Names{"proof"});
    CHECK(gate_world.judge().refusals[0].run == "backup-before-apply drill web");
    put_receipt(world, "web", noon);
    CHECK(conditions(gate_world.judge()) == Names{});
    CHECK(gate_json(gate_world.judge())["proof"] == "drilled");
  }
  SUBCASE("disproved by a drill, whatever is asked for") {
    gate_world.container_runs();
    put_receipt(world, "web", noon, false);
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"proof"});
    CHECK(verdict.refusals[0].why == "the last drill of this backup failed: a key is lost");
    CHECK(verdict.refusals[0].run == "backup-before-apply backup web");
    request.require = store::ProofLevel::drilled;
    CHECK(conditions(gate_world.judge()) == Names{"proof"});
    put_receipt(world, "web", noon);
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("much smaller than those before") {
    gate_world.container_runs();
    for (const auto ago : {1h, 2h, 3h}) {
      put_set(world, "web", noon - ago, {{"", tar_content(1, 200'000)}});
    }
    CHECK(conditions(gate_world.judge()) == Names{"size"});
    request.max_shrink = 1.0;
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("another image") {
    gate_world.container_runs("sha256:bbbb");
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].why, "sha256:bbbb"));
    request.skip_image_check = true;
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("all that is wrong is said, in order") {
    request.at = noon + 2h;
    request.require = store::ProofLevel::drilled;
    write_file(artifact, "");
    CHECK(conditions(gate_world.judge()) == Names{"whole", "age", "proof", "image"});
    const Error error = gate_error(gate_world.judge());
    CHECK(error.kind() == ErrorKind::gate);
    CHECK(contains(error.what(), "the gate refuses web: the backup does not pass verify"));
    CHECK(error.hint() == "backup-before-apply backup web");
  }
}

TEST_CASE("the median of the up to five complete sets before decides about the size") {
  GateWorld gate_world;
  gate_world.request.skip_image_check = true;
  const auto before = [&](int index, std::size_t size) {
    return put_set(gate_world.world, "web", noon - 1h * index, {{"", tar_content(1, size)}});
  };
  // One that was large once is no reason, and neither is what came before the last five.
  before(1, 500'000);
  before(2, 15'000);
  before(3, 15'000);
  CHECK(conditions(gate_world.judge()) == Names{});
  for (int i = 4; i < 6; ++i) before(i, 500'000);
  CHECK(conditions(gate_world.judge()) == Names{"size"});
  // Not complete: not counted; the sixth, a small one, moves up.
  std::filesystem::remove(gate_world.world.path("web-20261123T070000Z.tar.gz"));
  before(6, 15'000);
  CHECK(conditions(gate_world.judge()) == Names{});
}

TEST_CASE(
    "a fallback, a set that changed and an incomplete one are refused until they are accepted") {
  GateWorld gate_world;
  gate_world.request.skip_image_check = true;
  GateRequest& request = gate_world.request;
  const auto put = [&](const std::function<void(store::Manifest&)>& change) {
    put_set(gate_world.world, "web", noon, {{"", tar_content()}}, change);
  };
  const auto is_fallback = [](store::Manifest& manifest) {
    manifest.fallback = "no snapshot, as it is sealed";
  };
  const auto changed = [](store::Manifest& manifest) {
    manifest.artifacts[0].found["changed_while_read"] = 3;
  };
  const auto incomplete = [](store::Manifest& manifest) {
    manifest.incomplete = {"bucket photos", "bucket films"};
  };

  SUBCASE("a fallback") {
    put(is_fallback);
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"fallback"});
    CHECK(verdict.refusals[0].why ==
          "the backup is a fallback (mounted data archive): no snapshot, as it is sealed");
    CHECK(verdict.refusals[0].run ==
          "backup-before-apply backup web, once that is put right; or allow it with "
          "--accept-fallback");
    request.accept_incomplete = true;
    CHECK(conditions(gate_world.judge()) == Names{"fallback"});
    request.accept_fallback = true;
    CHECK(conditions(gate_world.judge()) == Names{});
    // Accepted, and still said.
    CHECK(contains(gate_text(gate_world.judge()),
                   "strategy   mounted data archive\nfallback   no snapshot, as it is sealed\n"));
    const Json json = gate_json(gate_world.judge());
    CHECK(json["strategy"] == "mounted data archive");
    CHECK(json["fallback"] == "no snapshot, as it is sealed");
    CHECK(json["changed_while_read"] == 0);
    CHECK(json["incomplete"] == Json::array());
  }
  SUBCASE("changed while it was read") {
    put(changed);
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"changed"});
    CHECK(verdict.refusals[0].why ==
          "entries that changed while they were read, and may be torn: 3");
    CHECK(verdict.refusals[0].run ==
          "backup-before-apply backup web --consistency pause; or allow it with --accept-fallback");
    request.accept_fallback = true;
    CHECK(conditions(gate_world.judge()) == Names{});
    CHECK(contains(gate_text(gate_world.judge()), "changed    3 while read\n"));
    CHECK(gate_json(gate_world.judge())["changed_while_read"] == 3);
    CHECK(gate_json(gate_world.judge())["fallback"].is_null());
  }
  SUBCASE("incomplete") {
    put(incomplete);
    CHECK(conditions(gate_world.judge()) == Names{"incomplete"});
    request.accept_fallback = true;
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"incomplete"});
    CHECK(verdict.refusals[0].why ==
          "the backup is known not to hold: bucket photos; bucket films");
    CHECK(contains(verdict.refusals[0].run, "--accept-incomplete"));
    request.accept_incomplete = true;
    CHECK(conditions(gate_world.judge()) == Names{});
    CHECK(contains(gate_text(gate_world.judge()),
                   "incomplete bucket photos\nincomplete bucket films\n"));
    CHECK(gate_json(gate_world.judge())["incomplete"] ==
          Json::array({"bucket photos", "bucket films"}));
  }
  SUBCASE("all of it") {
    put([&](store::Manifest& manifest) {
      is_fallback(manifest);
      changed(manifest);
      incomplete(manifest);
    });
    CHECK(conditions(gate_world.judge()) == Names{"fallback", "changed", "incomplete"});
    request.accept_fallback = true;
    request.accept_incomplete = true;
    CHECK(conditions(gate_world.judge()) == Names{});
  }
}

TEST_CASE("a size is compared with those of the same strategy alone") {
  GateWorld gate_world;
  gate_world.request.skip_image_check = true;
  const auto put = [&](Timestamp time, const std::string& strategy, std::size_t size) {
    put_set(gate_world.world, "web", time, {{"", tar_content(1, size)}},
            [&](store::Manifest& manifest) { manifest.strategy = strategy; });
  };
  // A snapshot after two archives, which hold logs and whatever else is there.
  put(noon - 1h, "mounted data archive", 500'000);
  put(noon - 2h, "mounted data archive", 500'000);
  put(noon, "raft snapshot", 15'000);
  CHECK(conditions(gate_world.judge()) == Names{});
  // The snapshot before them counts.
  put(noon - 3h, "raft snapshot", 500'000);
  CHECK(conditions(gate_world.judge()) == Names{"size"});
  CHECK(contains(gate_world.judge().refusals[0].why, "the median of the 1 before it"));
}

TEST_CASE("the container is found again where it was replaced") {
  GateWorld gate_world;
  const auto list = [&](const std::string& id) {
    gate_world.fake.on(
        "GET /containers/json",
        {send(answer(200, dump_json(Json::array(
                              {Json{{"Id", id},
                                    {"Names", {"/web"}},
                                    {"State", "running"},
                                    {"Labels", {{"com.docker.compose.service", "web"}}}}}))))});
  };
  SUBCASE("with the same image") {
    list("beef");
    gate_world.fake.on("GET /containers/beef/json",
                       {send(answer(200, container_json("beef", "sha256:aaaa")))});
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("with another, while the old one is stopped") {
    list("beef");
    gate_world.fake.on("GET /containers/c0ffee/json",
                       {send(answer(200, container_json("c0ffee", "sha256:aaaa", false)))});
    gate_world.fake.on("GET /containers/beef/json",
                       {send(answer(200, container_json("beef", "sha256:bbbb")))});
    CHECK(conditions(gate_world.judge()) == Names{"image"});
  }
  SUBCASE("only stopped") {
    gate_world.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    gate_world.fake.on("GET /containers/c0ffee/json",
                       {send(answer(200, container_json("c0ffee", "sha256:aaaa", false)))});
    CHECK(conditions(gate_world.judge()) == Names{});
  }
  SUBCASE("nowhere") {
    gate_world.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].why, "no container was found"));
  }
  SUBCASE("nowhere, and a file that may name it cannot be read") {
    gate_world.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    const std::string stack = gate_world.world.temp / "platform/compose/core";
    std::filesystem::create_directories(stack);
    write_file(stack + "/compose.yaml", "services: [\n");
    const GateVerdict verdict = gate_world.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].run, stack + "/compose.yaml:2:1"));
  }
}

TEST_CASE("an engine that does not answer is a refusal, unless the check is left out") {
  BackupFixture world;  // no engine
  put_set(world, "web", noon, {{"", tar_content()}});
  GateRequest request;
  request.module = "web";
  request.at = noon + 1min;
  const GateVerdict verdict = gate(world.session, request);
  CHECK(conditions(verdict) == Names{"image"});
  CHECK(contains(verdict.refusals[0].why, "cannot be asked"));
  CHECK(contains(verdict.refusals[0].run, "--skip-image-check"));
  request.skip_image_check = true;
  CHECK(gate(world.session, request).passed());
}

TEST_CASE("a reference has to be the module's, in the directory, and of a set") {
  GateWorld gate_world;
  gate_world.container_runs();
  BackupFixture& world = gate_world.world;
  const std::string name = "web-20261123T120000Z";
  put_set(world, "db", noon, {{"", sql_content()}});
  const auto judged = [&](const std::string& reference) {
    gate_world.request.reference = reference;
    return conditions(gate_world.judge());
  };
  CHECK(judged(world.path(name + ".tar.gz")) == Names{});
  CHECK(judged(name + ".tar.gz") == Names{});
  CHECK(judged(world.path(name + ".manifest.json")) == Names{});
  CHECK(judged("20261123T120000Z") == Names{});

  CHECK(judged(world.path("db-20261123T120000Z.sql.gz")) == Names{"reference"});
  CHECK(judged("/etc/passwd") == Names{"reference"});
  CHECK(judged("20261123T110000Z") == Names{"reference"});
  CHECK(judged("web") == Names{"reference"});
  CHECK(judged("") == Names{"reference"});
  CHECK(judged(std::string(300, 'w') + "-20261123T120000Z.tar.gz") == Names{"reference"});
  const std::string long_name =
      std::string(100, 'w') + "-20261123T120000Z." + std::string(250, 'x');
  gate_world.request.module = std::string(100, 'w');
  CHECK(judged(long_name) == Names{"reference"});
  gate_world.request.module = "web";
  CHECK(judged(world.path("web-20261123T110000Z.tar.gz")) == Names{"reference"});
  write_file(world.path(name + ".more.tar.gz"), "x");
  CHECK(judged(world.path(name + ".more.tar.gz")) == Names{"reference"});
  const std::string copy = world.temp / "copy";
  std::filesystem::copy(world.backups(), copy);
  CHECK(judged(copy + "/" + name + ".tar.gz") == Names{"reference"});

  // Judged as the newest one is, without being it.
  put_set(world, "web", noon + 5min, {{"", tar_content(2)}});
  CHECK(judged(name + ".tar.gz") == Names{});
  CHECK(gate_world.judge().proof->started == noon);
  gate_world.request.max_age = 9min;
  CHECK(conditions(gate_world.judge()) == Names{"age"});
}

TEST_CASE("who may not read the backups is answered by the public proof") {
  if (::geteuid() != 0) {
    std::puts("SKIP: only root can become somebody else");
    return;
  }
  GateWorld gate_world;
  BackupFixture& world = gate_world.world;
  gate_world.container_runs();
  const std::string socket = gate_world.fake.socket_path();
  for (const std::string& path : {world.temp.path(), socket.substr(0, socket.rfind('/')), socket}) {
    std::filesystem::permissions(path, std::filesystem::perms(0777));
  }
  std::filesystem::permissions(world.temp.path(), std::filesystem::perms(0755));
  const auto publish = [&] {
    const auto directory = store::OwnedDirectory::open_existing(world.backups());
    publish_proof(world.session, directory, store::manifest_name("web", noon));
  };
  // The proof says when it was written, by the real clock, which may stand before or after noon.
  const auto later = [] { return std::max(now(), noon) + 1h; };
  gate_world.request.at = later();
  gate_world.request.max_age = std::chrono::hours(24 * 36500);
  const auto judge_as_nobody = [&] {
    constexpr uid_t nobody = 65534;
    REQUIRE(::seteuid(nobody) == 0);
    try {
      GateVerdict verdict = gate_world.judge();
      REQUIRE(::seteuid(0) == 0);
      return verdict;
    } catch (...) {
      REQUIRE(::seteuid(0) == 0);
      throw;
    }
  };
  CHECK(judge_as_nobody().by_proof);
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply backup web");
  publish();
  const GateVerdict verdict = judge_as_nobody();
  CHECK(verdict.by_proof);
  CHECK(conditions(verdict) == Names{});
  CHECK(verdict.reference() == world.path("web-20261123T120000Z.tar.gz"));
  CHECK(gate_json(verdict)["source"] == "proof");
  CHECK(contains(gate_text(verdict), "public proof"));

  gate_world.request.require = store::ProofLevel::drilled;
  CHECK(conditions(judge_as_nobody()) == Names{"proof"});
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply drill web");
  put_receipt(world, "web", noon);
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{});

  // However the path is written.
  const std::string artifact = "web-20261123T120000Z.tar.gz";
  std::filesystem::create_directory_symlink(world.temp.path(), world.temp / "link");
  for (const std::string& way :
       {world.path(artifact), artifact, std::string("20261123T120000Z"),
        world.path("/./" + artifact), world.temp / "link/backups/" + artifact,
        std::filesystem::relative(world.path(artifact)).string()}) {
    CAPTURE(way);
    gate_world.request.reference = way;
    CHECK(conditions(judge_as_nobody()) == Names{});
  }
  for (const std::string& other : {world.path("web-20261123T110000Z.tar.gz"),
                                   world.temp / "elsewhere/" + artifact, "./" + artifact}) {
    CAPTURE(other);
    gate_world.request.reference = other;
    const GateVerdict refused = judge_as_nobody();
    CHECK(conditions(refused) == Names{"reference"});
    CHECK(refused.refusals[0].run ==
          "give the newest, " + world.path(artifact) + ", or leave --ref out");
  }
  gate_world.request.reference.reset();

  // Size and image are those of the proof: nothing else can be read.
  for (const auto ago : {1h, 2h, 3h}) {
    put_set(world, "web", noon - ago, {{"", tar_content(1, 200'000)}});
  }
  CHECK(conditions(judge_as_nobody()) == Names{});
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"size"});
  gate_world.request.max_shrink = 1.0;
  CHECK(conditions(judge_as_nobody()) == Names{});
  put_set(world, "web", noon, {{"", tar_content()}},
          [](store::Manifest& manifest) { manifest.container.image_id = "sha256:bbbb"; });
  put_receipt(world, "web", noon);
  CHECK(conditions(judge_as_nobody()) == Names{});
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"image"});
  CHECK(contains(judge_as_nobody().refusals[0].why, "the backup is of img:1 (sha256:bbbb)"));
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply backup web");
  gate_world.request.skip_image_check = true;
  CHECK(conditions(judge_as_nobody()) == Names{});

  gate_world.request.at = noon - 1h;
  CHECK(conditions(judge_as_nobody()) == Names{"clock"});
  gate_world.request.at = later();
  gate_world.request.max_age = 1min;
  CHECK(conditions(judge_as_nobody()) == Names{"age"});

  // So is what the set is.
  gate_world.request.max_age = std::chrono::hours(24 * 36500);
  put_set(world, "web", noon, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.fallback = "no snapshot, as it is sealed";
    manifest.artifacts[0].found["changed_while_read"] = 1;
    manifest.incomplete = {"bucket photos"};
  });
  put_receipt(world, "web", noon);
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"fallback", "changed", "incomplete"});
  CHECK(judge_as_nobody().refusals[0].run.starts_with("sudo backup-before-apply backup web, "));
  gate_world.request.accept_fallback = true;
  CHECK(conditions(judge_as_nobody()) == Names{"incomplete"});
  gate_world.request.accept_incomplete = true;
  CHECK(conditions(judge_as_nobody()) == Names{});

  // An older one does not say it.
  const std::string file = world.proofs() + "/web.json";
  Json old = *parse_json(read_file(file));
  old["schema"] = 1;
  for (const char* key : {"strategy", "fallback", "changed_while_read", "incomplete"}) {
    old.erase(key);
  }
  write_file(file, pretty_json(old));
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
  CHECK(contains(judge_as_nobody().refusals[0].why, "older version"));
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply verify web");
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{});

  // One that others could have written says nothing.
  REQUIRE(::chmod(file.c_str(), 0664) == 0);
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
  CHECK(contains(judge_as_nobody().refusals[0].why, "can be written by others"));
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
}

TEST_CASE("a module id that is none is wrong use, and a request to stop ends it") {
  GateWorld gate_world;
  gate_world.request.module = "../web";
  CHECK(thrown_by([&] { gate_world.judge(); }).kind == ErrorKind::config);
  gate_world.request.module = "web";
  gate_world.world.stop.request(SIGINT);
  CHECK(thrown_by([&] { gate_world.judge(); }).kind == ErrorKind::interrupted);
}

TEST_CASE("a time limit ends it, and is not a refusal") {
  GateWorld gate_world;
  Stop& stop = gate_world.world.stop;
  class Late : public RecordingReporter {
   public:
    explicit Late(Stop& stop) : stop_(stop) {}
    void progress_end() override { stop_.set_time_limit(0s); }

   private:
    Stop& stop_;
  } reporter(stop);
  run::Session session{gate_world.world.session.settings, stop, reporter,
                       docker::Engine(gate_world.fake.socket_path(), {}, &stop)};
  // Passed once the artifact was read: the engine is not asked.
  CHECK(thrown_by([&] { gate(session, gate_world.request); }).kind == ErrorKind::timeout);
  CHECK(gate_world.fake.requests().empty());
  // Passed before: nothing is read.
  CHECK(thrown_by([&] { gate_world.judge(); }).kind == ErrorKind::timeout);
}

}  // namespace bba::commands
