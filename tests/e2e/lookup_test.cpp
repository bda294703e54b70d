// Which container a module id means, and the error where it means none.
#include <algorithm>
#include <filesystem>

#include "e2e/support.hpp"

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr const char* image = "bba-fixture/files:1";

Strings labels(const std::string& service, const std::string& oneoff = "False") {
  return {"--label",  "com.docker.compose.service=" + service,
          "--label",  "com.docker.compose.oneoff=" + oneoff,
          "--volume", "/data"};
}

}  // namespace

TEST_CASE("an invalid module id is refused before the engine is asked") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  for (const std::string& id :
       {std::string(), std::string(".."), std::string("../x"), std::string("a/b"),
        std::string("/etc"), std::string("a b"), std::string("Upper"), std::string(101, 'a'),
        std::string(70000, 'a'), std::string("new\nline"), std::string("\xff")}) {
    CAPTURE(id.substr(0, 40));
    for (const char* command : {"backup", "plan"}) {
      const Ended ended = fixture.bba({command, id});
      CHECK(ended.exit_code == 3);
      CHECK(ended.out.empty());
      CHECK(has(ended.err, "is not a module id"));
    }
  }
  fixture.check_nothing_left();
}

TEST_CASE("a missing container: exit 4, with the most similar names") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string there = fixture.create("kuma", {"--volume", "/data"}, image);
  const std::string asked = there.substr(0, there.size() - 1) + "e";
  for (const Strings& arguments :
       {Strings{"backup", asked}, Strings{"backup", "other", "--container", asked}}) {
    const Ended ended = fixture.bba(arguments);
    CHECK(ended.exit_code == 4);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "error: "));
    CHECK(has(ended.err, "hint: did you mean " + there));
  }
  fixture.check_nothing_left();
}

TEST_CASE("several containers: exit 4, naming all of them") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string service = fixture.name("twice");
  const std::string one = fixture.create("one", labels(service), image);
  const std::string two = fixture.create("two", labels(service), image);
  const Ended ended = fixture.bba({"backup", service});
  CHECK(ended.exit_code == 4);
  CHECK(has(ended.err, one + " (created), " + two + " (created)"));
  CHECK(has(ended.err, "--container"));
  fixture.check_nothing_left();

  const Ended named = fixture.bba({"backup", service, "--container", two});
  CHECK(named.exit_code == 0);
  CHECK(fixture.manifest().at("container").at("name") == two);
}

TEST_CASE("a running container is preferred to a stopped one, and a one-off is never chosen") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string service = fixture.name("service");
  fixture.create("old", labels(service), image);
  const std::string up = fixture.start("up", labels(service), image);
  fixture.start("oneoff", labels(service, "True"), image);
  const Ended ended = fixture.bba({"plan", service, "--json"});
  REQUIRE(ended.exit_code == 0);
  const auto plan = parse_json(ended.out);
  REQUIRE(plan);
  CHECK(plan->at("container").at("name") == up);
  CHECK(plan->at("container").at("found_by") == "label com.docker.compose.service=" + service);

  const std::string lonely = fixture.name("lonely");
  const std::string oneoff = fixture.start("lonely-run", labels(lonely, "True"), image);
  CHECK(fixture.bba({"plan", lonely}).exit_code == 4);
  CHECK(fixture.bba({"plan", "x", "--container", oneoff}).exit_code == 4);
}

TEST_CASE("a container of another compose service is not found by any name, nothing is published") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string module = fixture.name("notes");
  const std::string service = "ledger-" + module;
  // As Compose calls service ledger-<id> of project lab: it ends like one of service <id>.
  const std::string other = "lab-" + service + "-1";
  const Strings made_by_compose{"create",
                                "--label",
                                "bba.fixture=1",
                                "--label",
                                "com.docker.compose.project=lab",
                                "--label",
                                "com.docker.compose.service=" + service,
                                "--label",
                                "com.docker.compose.oneoff=False",
                                "--volume",
                                "/data",
                                "--name"};
  const auto made = [&](const std::string& name) {
    Strings arguments = made_by_compose;
    arguments.insert(arguments.end(), {name, image});
    docker(arguments);
  };
  const auto is_refused = [&](const std::string& name) {
    const Ended ended = fixture.bba({"backup", module});
    CHECK(ended.exit_code == 4);
    CHECK(ended.out.empty());
    CHECK(has(ended.err, "error: no container was found for module " + module));
    CHECK(has(ended.err, "hint: passed over, being of another compose service: " + name + " (" +
                             service + "); if"));
    fixture.check_nothing_left();
  };
  made(other);
  is_refused(other);
  fs::create_directories(fixture.path("modules/" + module));
  write_file(fixture.path("modules/" + module + "/runbook.md"),
             "    docker exec " + other + " sh\n");
  is_refused(other);
  fs::create_directories(fixture.path("compose/core"));
  write_file(fixture.path("compose/core/compose.yaml"),
             "name: lab-ledger\nservices: {" + module + ": {container_name: " + other + "}}\n");
  is_refused(other);
  // The operator may name it.
  CHECK(fixture.bba({"plan", module, "--container", other}).exit_code == 0);
  docker({"rm", "--volumes", other});
  made(module);
  is_refused(module);
  docker({"rm", "--volumes", module});
}

TEST_CASE("the steps of the lookup: the exact name, then <project>-<id>-N and <project>_<id>_N") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  const std::string module = fixture.name("m");
  const auto found_by = [&] {
    const Ended ended = fixture.bba({"plan", module, "--json"});
    const auto plan = parse_json(ended.out);
    return plan ? string_member(plan->at("container"), "found_by").value_or("") : ended.err;
  };
  const auto made = [&](const std::string& name) {
    // A name of the test's own choice, so it is also removed by hand.
    docker({"create", "--name", name, "--label", "bba.fixture=1", "--volume", "/data", image});
    return name;
  };
  // Without labels of Compose, only the compose files can say what the project is.
  const std::string with_dashes = made("project-" + module + "-1");
  CHECK(fixture.bba({"plan", module}).exit_code == 4);
  fs::create_directories(fixture.path("compose/apps"));
  write_file(fixture.path("compose/apps/compose.yaml"), "name: project\nservices: {}\n");
  CHECK(found_by() == "a name like <project>-" + module + "-1");
  docker({"rm", "--volumes", with_dashes});
  const std::string with_underscores = made("project_" + module + "_1");
  CHECK(found_by() == "a name like <project>-" + module + "-1");
  const std::string exact = made(module);
  CHECK(found_by() == "the name " + module);
  docker({"rm", "--volumes", exact, with_underscores});
}

TEST_CASE("exit 5 where no engine listens, 2 for wrong usage") {
  NEEDS_ENGINE();
  E2eFixture fixture;
  Strings elsewhere = fixture.command({"backup", "kuma"});
  std::replace(elsewhere.begin(), elsewhere.end(), host(), "unix://" + fixture.path("none"));
  const Ended nowhere = run(elsewhere);
  CHECK(nowhere.exit_code == 5);
  CHECK(has(nowhere.err, fixture.path("none")));
  CHECK(fixture.bba({}).exit_code == 2);
  CHECK(fixture.bba({"backup", "kuma", "--compresion", "gzip"}).exit_code == 2);
  fixture.check_nothing_left();
}
