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
struct GateFixture {
  FakeEngine fake;
  BackupFixture backup_fixture{fake.socket_path()};
  GateRequest request;

  GateFixture() {
    request.module = "web";
    request.at = noon + 10min;
    put_set(backup_fixture, "web", noon, {{"", tar_content()}});
  }
  void container_runs(const std::string& image = "sha256:aaaa") {
    fake.on("GET /containers/c0ffee/json", {send(answer(200, container_json("c0ffee", image)))});
  }
  GateVerdict judge() { return gate(backup_fixture.session, request); }
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
  GateFixture fixture;
  fixture.container_runs();
  const GateVerdict verdict = fixture.judge();
  CHECK(conditions(verdict) == Names{});
  CHECK(verdict.passed());
  CHECK_FALSE(verdict.by_proof);
  const std::string artifact = fixture.backup_fixture.path("web-20261123T120000Z.tar.gz");
  CHECK(verdict.reference() == artifact);
  CHECK(contains(gate_text(verdict), "reference  " + artifact + "\n"));
  CHECK(contains(gate_text(verdict), "sha256:" + verdict.proof->manifest_sha256));
  const Json json = gate_json(verdict);
  CHECK(json["passed"] == true);
  CHECK(json["module"] == "web");
  CHECK(json["class"] == "E");
  CHECK(json["reference"] == artifact);
  CHECK(json["manifest_sha256"] ==
        sha256_of(read_file(fixture.backup_fixture.path("web-20261123T120000Z.manifest.json"))));
  CHECK(json["proof"] == "verified");
  CHECK(json["age_seconds"] == 600);
  CHECK(json["source"] == "directory");
  CHECK(json["refusals"] == Json::array());
  // The gate only reads.
  CHECK_FALSE(std::filesystem::exists(fixture.backup_fixture.proofs()));
  CHECK_FALSE(std::filesystem::exists(fixture.backup_fixture.state()));
}

TEST_CASE("each condition refuses on its own") {
  GateFixture fixture;
  BackupFixture& backup_fixture = fixture.backup_fixture;
  GateRequest& request = fixture.request;
  const std::string artifact = backup_fixture.path("web-20261123T120000Z.tar.gz");

  SUBCASE("no set") {
    request.module = "db";
    CHECK(conditions(fixture.judge()) == Names{"set"});
    CHECK(fixture.judge().refusals[0].run == "backup-before-apply backup db");
    backup_fixture.session.settings.backup_dir = backup_fixture.temp / "nowhere";
    CHECK(conditions(fixture.judge()) == Names{"set"});
    CHECK_FALSE(gate_json(fixture.judge())["passed"].get<bool>());
  }
  SUBCASE("a newer set that cannot be read") {
    fixture.container_runs();
    write_file(backup_fixture.path("web-20261123T120500Z.manifest.json"), "{}");
    CHECK(conditions(fixture.judge()) == Names{"set"});
    // An older one does not matter.
    std::filesystem::rename(backup_fixture.path("web-20261123T120500Z.manifest.json"),
                            backup_fixture.path("web-20261122T120500Z.manifest.json"));
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("damaged") {
    fixture.container_runs();
    write_file(artifact, read_file(artifact).substr(0, 200));
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"whole"});
    CHECK(contains(verdict.refusals[0].why, "cut at byte 200"));
  }
  SUBCASE("incomplete") {
    fixture.container_runs();
    std::filesystem::remove(artifact);
    CHECK(conditions(fixture.judge()) == Names{"whole"});
  }
  SUBCASE("the newest set counts, not the newest good one") {
    fixture.container_runs();
    const auto newest = put_set(backup_fixture, "web", noon + 5min, {{"", tar_content(2)}});
    write_file(backup_fixture.path(newest.artifacts[0].file), "x");
    CHECK(conditions(fixture.judge()) == Names{"whole"});
  }
  SUBCASE("too old, to the second") {
    fixture.container_runs();
    request.at = noon + 1h;
    CHECK(conditions(fixture.judge()) == Names{});
    request.at = noon + 1h + 1s;
    CHECK(conditions(fixture.judge()) == Names{"age"});
    request.max_age = 2h;
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("dated in the future") {
    fixture.container_runs();
    request.at = noon - 1s;
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"clock"});
    CHECK(contains(verdict.refusals[0].why, "2026-11-23T11:59:59Z"));
    // A new backup would not be the newest.
    CHECK(
        contains(verdict.refusals[0].run,
                 "move " + backup_fixture.path("web-20261123T120000Z.manifest.json") + " and its"));
    CHECK(contains(verdict.refusals[0].run, "--ref"));
  }
  SUBCASE("not drilled") {
    fixture.container_runs();
    request.require = store::ProofLevel::drilled;
    CHECK(conditions(fixture.judge()) == Names{"proof"});
    CHECK(fixture.judge().refusals[0].run == "backup-before-apply drill web");
    put_receipt(backup_fixture, "web", noon);
    CHECK(conditions(fixture.judge()) == Names{});
    CHECK(gate_json(fixture.judge())["proof"] == "drilled");
  }
  SUBCASE("disproved by a drill, whatever options are given") {
    fixture.container_runs();
    put_receipt(backup_fixture, "web", noon, false);
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"proof"});
    CHECK(verdict.refusals[0].why == "the last drill of this backup failed: a key is lost");
    CHECK(verdict.refusals[0].run == "backup-before-apply backup web");
    request.require = store::ProofLevel::drilled;
    CHECK(conditions(fixture.judge()) == Names{"proof"});
    put_receipt(backup_fixture, "web", noon);
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("much smaller than those before") {
    fixture.container_runs();
    for (const auto ago : {1h, 2h, 3h}) {
      put_set(backup_fixture, "web", noon - ago, {{"", tar_content(1, 200'000)}});
    }
    CHECK(conditions(fixture.judge()) == Names{"size"});
    request.max_shrink = 1.0;
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("another image") {
    fixture.container_runs("sha256:bbbb");
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].why, "sha256:bbbb"));
    request.skip_image_check = true;
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("all conditions are reported, in order") {
    request.at = noon + 2h;
    request.require = store::ProofLevel::drilled;
    write_file(artifact, "");
    CHECK(conditions(fixture.judge()) == Names{"whole", "age", "proof", "image"});
    const Error error = gate_error(fixture.judge());
    CHECK(error.kind() == ErrorKind::gate);
    CHECK(contains(error.what(), "the gate refuses web: the backup does not pass verify"));
    CHECK(error.hint() == "backup-before-apply backup web");
  }
}

TEST_CASE("a set's size is compared with the median of up to five complete sets before it") {
  GateFixture fixture;
  fixture.request.skip_image_check = true;
  const auto before = [&](int index, std::size_t size) {
    return put_set(fixture.backup_fixture, "web", noon - 1h * index, {{"", tar_content(1, size)}});
  };
  // A single large set is no reason to refuse, and neither are sets older than the last five.
  before(1, 500'000);
  before(2, 15'000);
  before(3, 15'000);
  CHECK(conditions(fixture.judge()) == Names{});
  for (int i = 4; i < 6; ++i) before(i, 500'000);
  CHECK(conditions(fixture.judge()) == Names{"size"});
  // An incomplete set is not counted, so the sixth, a small one, counts.
  std::filesystem::remove(fixture.backup_fixture.path("web-20261123T070000Z.tar.gz"));
  before(6, 15'000);
  CHECK(conditions(fixture.judge()) == Names{});
}

TEST_CASE(
    "a fallback, a set that changed and an incomplete one are refused until they are accepted") {
  GateFixture fixture;
  fixture.request.skip_image_check = true;
  GateRequest& request = fixture.request;
  const auto put = [&](const std::function<void(store::Manifest&)>& change) {
    put_set(fixture.backup_fixture, "web", noon, {{"", tar_content()}}, change);
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
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"fallback"});
    CHECK(verdict.refusals[0].why ==
          "the backup is a fallback (mounted data archive): no snapshot, as it is sealed");
    CHECK(verdict.refusals[0].run ==
          "backup-before-apply backup web, once that is put right; or allow it with "
          "--accept-fallback");
    request.accept_incomplete = true;
    CHECK(conditions(fixture.judge()) == Names{"fallback"});
    request.accept_fallback = true;
    CHECK(conditions(fixture.judge()) == Names{});
    // It is accepted, and still reported.
    CHECK(contains(gate_text(fixture.judge()),
                   "strategy   mounted data archive\nfallback   no snapshot, as it is sealed\n"));
    const Json json = gate_json(fixture.judge());
    CHECK(json["strategy"] == "mounted data archive");
    CHECK(json["fallback"] == "no snapshot, as it is sealed");
    CHECK(json["changed_while_read"] == 0);
    CHECK(json["incomplete"] == Json::array());
  }
  SUBCASE("changed while it was read") {
    put(changed);
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"changed"});
    CHECK(verdict.refusals[0].why ==
          "entries that changed while they were read, and may be torn: 3");
    CHECK(verdict.refusals[0].run ==
          "backup-before-apply backup web --consistency pause; or allow it with --accept-fallback");
    request.accept_fallback = true;
    CHECK(conditions(fixture.judge()) == Names{});
    CHECK(contains(gate_text(fixture.judge()), "changed    3 while read\n"));
    CHECK(gate_json(fixture.judge())["changed_while_read"] == 3);
    CHECK(gate_json(fixture.judge())["fallback"].is_null());
  }
  SUBCASE("incomplete") {
    put(incomplete);
    CHECK(conditions(fixture.judge()) == Names{"incomplete"});
    request.accept_fallback = true;
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"incomplete"});
    CHECK(verdict.refusals[0].why ==
          "the backup is known not to hold: bucket photos; bucket films");
    CHECK(contains(verdict.refusals[0].run, "--accept-incomplete"));
    request.accept_incomplete = true;
    CHECK(conditions(fixture.judge()) == Names{});
    CHECK(contains(gate_text(fixture.judge()),
                   "incomplete bucket photos\nincomplete bucket films\n"));
    CHECK(gate_json(fixture.judge())["incomplete"] ==
          Json::array({"bucket photos", "bucket films"}));
  }
  SUBCASE("all of them at once") {
    put([&](store::Manifest& manifest) {
      is_fallback(manifest);
      changed(manifest);
      incomplete(manifest);
    });
    CHECK(conditions(fixture.judge()) == Names{"fallback", "changed", "incomplete"});
    request.accept_fallback = true;
    request.accept_incomplete = true;
    CHECK(conditions(fixture.judge()) == Names{});
  }
}

TEST_CASE("a set's size is compared only with sets of the same strategy") {
  GateFixture fixture;
  fixture.request.skip_image_check = true;
  const auto put = [&](Timestamp time, const std::string& strategy, std::size_t size) {
    put_set(fixture.backup_fixture, "web", time, {{"", tar_content(1, size)}},
            [&](store::Manifest& manifest) { manifest.strategy = strategy; });
  };
  // A snapshot after two archives, which hold logs and whatever else is there.
  put(noon - 1h, "mounted data archive", 500'000);
  put(noon - 2h, "mounted data archive", 500'000);
  put(noon, "raft snapshot", 15'000);
  CHECK(conditions(fixture.judge()) == Names{});
  // The snapshot before them counts.
  put(noon - 3h, "raft snapshot", 500'000);
  CHECK(conditions(fixture.judge()) == Names{"size"});
  CHECK(contains(fixture.judge().refusals[0].why, "the median of the 1 before it"));
}

TEST_CASE("the container is found again where it was replaced") {
  GateFixture fixture;
  const auto list = [&](const std::string& id) {
    fixture.fake.on(
        "GET /containers/json",
        {send(answer(200, dump_json(Json::array(
                              {Json{{"Id", id},
                                    {"Names", {"/web"}},
                                    {"State", "running"},
                                    {"Labels", {{"com.docker.compose.service", "web"}}}}}))))});
  };
  SUBCASE("with the same image") {
    list("beef");
    fixture.fake.on("GET /containers/beef/json",
                    {send(answer(200, container_json("beef", "sha256:aaaa")))});
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("with another image, while the old one is stopped") {
    list("beef");
    fixture.fake.on("GET /containers/c0ffee/json",
                    {send(answer(200, container_json("c0ffee", "sha256:aaaa", false)))});
    fixture.fake.on("GET /containers/beef/json",
                    {send(answer(200, container_json("beef", "sha256:bbbb")))});
    CHECK(conditions(fixture.judge()) == Names{"image"});
  }
  SUBCASE("only stopped") {
    fixture.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    fixture.fake.on("GET /containers/c0ffee/json",
                    {send(answer(200, container_json("c0ffee", "sha256:aaaa", false)))});
    CHECK(conditions(fixture.judge()) == Names{});
  }
  SUBCASE("nowhere") {
    fixture.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].why, "no container was found"));
  }
  SUBCASE("nowhere, and a file that may name it cannot be read") {
    fixture.fake.on("GET /containers/json", {send(answer(200, "[]"))});
    const std::string stack = fixture.backup_fixture.temp / "platform/compose/core";
    std::filesystem::create_directories(stack);
    write_file(stack + "/compose.yaml", "services: [\n");
    const GateVerdict verdict = fixture.judge();
    CHECK(conditions(verdict) == Names{"image"});
    CHECK(contains(verdict.refusals[0].run, stack + "/compose.yaml:2:1"));
  }
}

TEST_CASE("an engine that does not answer is a refusal, unless the check is left out") {
  BackupFixture backup_fixture;  // no engine
  put_set(backup_fixture, "web", noon, {{"", tar_content()}});
  GateRequest request;
  request.module = "web";
  request.at = noon + 1min;
  const GateVerdict verdict = gate(backup_fixture.session, request);
  CHECK(conditions(verdict) == Names{"image"});
  CHECK(contains(verdict.refusals[0].why, "cannot be asked"));
  CHECK(contains(verdict.refusals[0].run, "--skip-image-check"));
  request.skip_image_check = true;
  CHECK(gate(backup_fixture.session, request).passed());
}

TEST_CASE("a reference must name a set of the module in the backup directory") {
  GateFixture fixture;
  fixture.container_runs();
  BackupFixture& backup_fixture = fixture.backup_fixture;
  const std::string name = "web-20261123T120000Z";
  put_set(backup_fixture, "db", noon, {{"", sql_content()}});
  const auto judged = [&](const std::string& reference) {
    fixture.request.reference = reference;
    return conditions(fixture.judge());
  };
  CHECK(judged(backup_fixture.path(name + ".tar.gz")) == Names{});
  CHECK(judged(name + ".tar.gz") == Names{});
  CHECK(judged(backup_fixture.path(name + ".manifest.json")) == Names{});
  CHECK(judged("20261123T120000Z") == Names{});

  CHECK(judged(backup_fixture.path("db-20261123T120000Z.sql.gz")) == Names{"reference"});
  CHECK(judged("/etc/passwd") == Names{"reference"});
  CHECK(judged("20261123T110000Z") == Names{"reference"});
  CHECK(judged("web") == Names{"reference"});
  CHECK(judged("") == Names{"reference"});
  CHECK(judged(std::string(300, 'w') + "-20261123T120000Z.tar.gz") == Names{"reference"});
  const std::string long_name =
      std::string(100, 'w') + "-20261123T120000Z." + std::string(250, 'x');
  fixture.request.module = std::string(100, 'w');
  CHECK(judged(long_name) == Names{"reference"});
  fixture.request.module = "web";
  CHECK(judged(backup_fixture.path("web-20261123T110000Z.tar.gz")) == Names{"reference"});
  write_file(backup_fixture.path(name + ".more.tar.gz"), "x");
  CHECK(judged(backup_fixture.path(name + ".more.tar.gz")) == Names{"reference"});
  const std::string copy = backup_fixture.temp / "copy";
  std::filesystem::copy(backup_fixture.backups(), copy);
  CHECK(judged(copy + "/" + name + ".tar.gz") == Names{"reference"});

  // It is judged like the newest one.
  put_set(backup_fixture, "web", noon + 5min, {{"", tar_content(2)}});
  CHECK(judged(name + ".tar.gz") == Names{});
  CHECK(fixture.judge().proof->started == noon);
  fixture.request.max_age = 9min;
  CHECK(conditions(fixture.judge()) == Names{"age"});
}

TEST_CASE("a user who may not read the backups is answered by the public proof") {
  if (::geteuid() != 0) {
    std::puts("SKIP: only root can become somebody else");
    return;
  }
  GateFixture fixture;
  BackupFixture& backup_fixture = fixture.backup_fixture;
  fixture.container_runs();
  const std::string socket = fixture.fake.socket_path();
  for (const std::string& path :
       {backup_fixture.temp.path(), socket.substr(0, socket.rfind('/')), socket}) {
    std::filesystem::permissions(path, std::filesystem::perms(0777));
  }
  std::filesystem::permissions(backup_fixture.temp.path(), std::filesystem::perms(0755));
  const auto publish = [&] {
    const auto directory = store::OwnedDirectory::open_existing(backup_fixture.backups());
    publish_proof(backup_fixture.session, directory, store::manifest_name("web", noon));
  };
  // The proof has the real clock's time of its writing, which may be before or after noon.
  const auto later = [] { return std::max(now(), noon) + 1h; };
  fixture.request.at = later();
  fixture.request.max_age = std::chrono::hours(24 * 36500);
  const auto judge_as_nobody = [&] {
    constexpr uid_t nobody = 65534;
    REQUIRE(::seteuid(nobody) == 0);
    try {
      GateVerdict verdict = fixture.judge();
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
  CHECK(verdict.reference() == backup_fixture.path("web-20261123T120000Z.tar.gz"));
  CHECK(gate_json(verdict)["source"] == "proof");
  CHECK(contains(gate_text(verdict), "public proof"));

  fixture.request.require = store::ProofLevel::drilled;
  CHECK(conditions(judge_as_nobody()) == Names{"proof"});
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply drill web");
  put_receipt(backup_fixture, "web", noon);
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{});

  // Any spelling of the path is accepted.
  const std::string artifact = "web-20261123T120000Z.tar.gz";
  std::filesystem::create_directory_symlink(backup_fixture.temp.path(),
                                            backup_fixture.temp / "link");
  for (const std::string& way :
       {backup_fixture.path(artifact), artifact, std::string("20261123T120000Z"),
        backup_fixture.path("/./" + artifact), backup_fixture.temp / "link/backups/" + artifact,
        std::filesystem::relative(backup_fixture.path(artifact)).string()}) {
    CAPTURE(way);
    fixture.request.reference = way;
    CHECK(conditions(judge_as_nobody()) == Names{});
  }
  for (const std::string& other :
       {backup_fixture.path("web-20261123T110000Z.tar.gz"),
        backup_fixture.temp / "elsewhere/" + artifact, "./" + artifact}) {
    CAPTURE(other);
    fixture.request.reference = other;
    const GateVerdict refused = judge_as_nobody();
    CHECK(conditions(refused) == Names{"reference"});
    CHECK(refused.refusals[0].run ==
          "give the newest, " + backup_fixture.path(artifact) + ", or leave --ref out");
  }
  fixture.request.reference.reset();

  // Size and image are those of the proof: nothing else can be read.
  for (const auto ago : {1h, 2h, 3h}) {
    put_set(backup_fixture, "web", noon - ago, {{"", tar_content(1, 200'000)}});
  }
  CHECK(conditions(judge_as_nobody()) == Names{});
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"size"});
  fixture.request.max_shrink = 1.0;
  CHECK(conditions(judge_as_nobody()) == Names{});
  put_set(backup_fixture, "web", noon, {{"", tar_content()}},
          [](store::Manifest& manifest) { manifest.container.image_id = "sha256:bbbb"; });
  put_receipt(backup_fixture, "web", noon);
  CHECK(conditions(judge_as_nobody()) == Names{});
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"image"});
  CHECK(contains(judge_as_nobody().refusals[0].why, "the backup is of img:1 (sha256:bbbb)"));
  CHECK(judge_as_nobody().refusals[0].run == "sudo backup-before-apply backup web");
  fixture.request.skip_image_check = true;
  CHECK(conditions(judge_as_nobody()) == Names{});

  fixture.request.at = noon - 1h;
  CHECK(conditions(judge_as_nobody()) == Names{"clock"});
  fixture.request.at = later();
  fixture.request.max_age = 1min;
  CHECK(conditions(judge_as_nobody()) == Names{"age"});

  // So are a fallback, files that changed and missing parts.
  fixture.request.max_age = std::chrono::hours(24 * 36500);
  put_set(backup_fixture, "web", noon, {{"", tar_content()}}, [](store::Manifest& manifest) {
    manifest.fallback = "no snapshot, as it is sealed";
    manifest.artifacts[0].found["changed_while_read"] = 1;
    manifest.incomplete = {"bucket photos"};
  });
  put_receipt(backup_fixture, "web", noon);
  publish();
  CHECK(conditions(judge_as_nobody()) == Names{"fallback", "changed", "incomplete"});
  CHECK(judge_as_nobody().refusals[0].run.starts_with("sudo backup-before-apply backup web, "));
  fixture.request.accept_fallback = true;
  CHECK(conditions(judge_as_nobody()) == Names{"incomplete"});
  fixture.request.accept_incomplete = true;
  CHECK(conditions(judge_as_nobody()) == Names{});

  // An older proof does not have that field.
  const std::string file = backup_fixture.proofs() + "/web.json";
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

  // A proof that others could have written is not believed.
  REQUIRE(::chmod(file.c_str(), 0664) == 0);
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
  CHECK(contains(judge_as_nobody().refusals[0].why, "can be written by others"));
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
  CHECK(conditions(judge_as_nobody()) == Names{"set"});
}

TEST_CASE("an invalid module id is wrong usage, and a request to stop ends the gate") {
  GateFixture fixture;
  fixture.request.module = "../web";
  CHECK(thrown_by([&] { fixture.judge(); }).kind == ErrorKind::config);
  fixture.request.module = "web";
  fixture.backup_fixture.stop.request(SIGINT);
  CHECK(thrown_by([&] { fixture.judge(); }).kind == ErrorKind::interrupted);
}

TEST_CASE("a time limit ends the gate, and is not a refusal") {
  GateFixture fixture;
  Stop& stop = fixture.backup_fixture.stop;
  class Late : public RecordingReporter {
   public:
    explicit Late(Stop& stop) : stop_(stop) {}
    void progress_end() override { stop_.set_time_limit(0s); }

   private:
    Stop& stop_;
  } reporter(stop);
  run::Session session{fixture.backup_fixture.session.settings, stop, reporter,
                       docker::Engine(fixture.fake.socket_path(), {}, &stop)};
  // Passed once the artifact was read: the engine is not asked.
  CHECK(thrown_by([&] { gate(session, fixture.request); }).kind == ErrorKind::timeout);
  CHECK(fixture.fake.requests().empty());
  // Passed before: nothing is read.
  CHECK(thrown_by([&] { fixture.judge(); }).kind == ErrorKind::timeout);
}

TEST_CASE("a safety set is never judged instead of a backup, nor compared with one") {
  GateFixture fixture;
  fixture.container_runs();
  BackupFixture& backup_fixture = fixture.backup_fixture;
  put_set(backup_fixture, "web", noon + 5min, {{"", tar_content(1, 1'500'000)}}, as_safety_set);
  put_set(backup_fixture, "web", noon - 5min, {{"", tar_content(1, 1'500'000)}}, as_safety_set);
  const GateVerdict verdict = fixture.judge();
  CHECK(conditions(verdict) == Names{});
  CHECK(verdict.proof->started == noon);
  CHECK(verdict.proof->content_bytes_before.empty());

  fixture.request.reference = "20261123T120500Z";
  fixture.request.accept_fallback = true;
  fixture.request.accept_incomplete = true;
  const GateVerdict named = fixture.judge();
  CHECK(conditions(named) == Names{"purpose"});
  CHECK(contains(named.refusals[0].why, "is a safety set (before-restore)"));
  CHECK(named.refusals[0].run == "backup-before-apply backup web");

  fixture.request.reference.reset();
  for (const char* file : {"web-20261123T120000Z.manifest.json", "web-20261123T120000Z.tar.gz"}) {
    std::filesystem::remove(backup_fixture.path(file));
  }
  CHECK(conditions(fixture.judge()) == Names{"set"});
}

}  // namespace bba::commands
