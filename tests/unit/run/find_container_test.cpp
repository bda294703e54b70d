// The steps that find a module's container, in their order.
#include "bba/run/find_container.hpp"

#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "unit/containers.hpp"

using namespace bba;
using namespace bba::run;
using test::compose_container;
using test::container;

namespace {

using Containers = std::vector<wire::ContainerSummary>;

struct Outcome {
  std::string name, step, error, hint;
};

Outcome look_up(const LookupClues& clues, const Containers& all) {
  try {
    const FoundContainer found = find_container(clues, all);
    return {found.container.names.front(), found.step, "", ""};
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::container);
    return {"", "", error.what(), error.hint()};
  }
}

LookupClues clues_for(const std::string& module) {
  LookupClues clues;
  clues.module = module;
  return clues;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("lookup: each step finds its container, and an earlier step comes first") {
  // What each step would find; the containers of all steps are there at once.
  const Containers all{container("asked"),
                       container("configured"),
                       compose_container("stack", "db", "labelled"),
                       container("written"),
                       container("in-runbook"),
                       container("db"),
                       container("project-db-1")};
  LookupClues clues = clues_for("db");
  clues.option = "asked";
  clues.configured = "configured";
  clues.compose_names = {"written"};
  clues.runbook_names = {"in-runbook"};
  clues.projects = {"project"};

  struct Step {
    std::string name, step;
  };
  const std::vector<Step> steps{{"asked", "--container asked"},
                                {"configured", "configuration modules.db.container"},
                                {"labelled", "label com.docker.compose.service=db"},
                                {"written", "container_name written in the compose files"},
                                {"in-runbook", "name in-runbook in the module's runbook"},
                                {"db", "the name db"},
                                {"project-db-1", "a name like <project>-db-1"}};
  Containers left = all;
  for (const Step& step : steps) {
    CAPTURE(step.name);
    const Outcome outcome = look_up(clues, left);
    CHECK(outcome.name == step.name);
    CHECK(outcome.step == step.step);
    CHECK(outcome.error == "");
    if (step.name == "asked") clues.option.reset();
    if (step.name == "configured") clues.configured.reset();
    std::erase_if(left, [&](const auto& one) { return one.names.front() == step.name; });
  }
  CHECK(look_up(clues, left).error == "no container was found for module db");
}

TEST_CASE("lookup: a name given by option or configuration is the only one that is tried") {
  const Containers all{container("db"), compose_container("core", "db", "core-db")};
  LookupClues clues = clues_for("db");
  clues.option = "other";
  CHECK(look_up(clues, all).error == "there is no container other");
  clues.option.reset();
  clues.configured = "core-dbx";
  const Outcome outcome = look_up(clues, all);
  CHECK(outcome.error ==
        "the configuration says db is in container core-dbx, and there is no such container");
  CHECK(outcome.hint == "did you mean core-db, db?");
}

TEST_CASE("lookup: an id of twelve characters or more names a container, a shorter one does not") {
  wire::ContainerSummary one = container("web");
  one.id = "0123456789abcdef0123456789abcdef";
  LookupClues clues = clues_for("db");
  clues.option = "0123456789ab";
  CHECK(look_up(clues, {one}).name == "web");
  clues.option = one.id;
  CHECK(look_up(clues, {one}).name == "web");
  clues.option = "0123456789a";
  CHECK(look_up(clues, {one}).error == "there is no container 0123456789a");
  clues.option = "123456789abcd";
  CHECK(look_up(clues, {one}).error != "");
}

TEST_CASE("lookup: every name of a container counts") {
  wire::ContainerSummary one = container("web");
  one.names.push_back("db");
  CHECK(look_up(clues_for("db"), {one}).step == "the name db");
}

TEST_CASE("lookup: a name is matched as Compose composes it") {
  const auto found = [](const std::string& name, const std::string& module) {
    LookupClues clues = clues_for(module);
    clues.projects = {"core", "my-core", "db-1", ""};
    return look_up(clues, {container(name)}).error.empty();
  };
  CHECK(found("core-db-1", "db"));
  CHECK(found("core_db_1", "db"));
  CHECK(found("core-db-12", "db"));
  CHECK(found("my-core-db-2", "db"));
  CHECK(found("core-honcho-db-1", "honcho-db"));
  CHECK(found("db-1-db-1", "db"));
  CHECK_FALSE(found("db-1", "db"));     // no project
  CHECK_FALSE(found("-db-1", "db"));    // an empty one
  CHECK_FALSE(found("core-db", "db"));  // no number
  CHECK_FALSE(found("core-db-", "db"));
  CHECK_FALSE(found("core-db-x", "db"));
  CHECK_FALSE(found("core-db-1x", "db"));
  CHECK_FALSE(found("coredb-1", "db"));
  CHECK_FALSE(found("core-db_1", "db"));  // mixed
  CHECK_FALSE(found("core_db-1", "db"));
  CHECK_FALSE(found("core-mydb-1", "db"));
}

TEST_CASE(
    "lookup: <project> in a name is the container's own project, or one of the compose files") {
  const auto found = [](const wire::ContainerSummary& one, std::vector<std::string> projects) {
    LookupClues clues = clues_for("postgres");
    clues.projects = std::move(projects);
    const bool any = !candidates(clues, {one}).containers.empty();
    CHECK(any == look_up(clues, {one}).error.empty());
    return any;
  };
  const auto labelled = [](const std::string& name, const std::string& key,
                           const std::string& value) {
    wire::ContainerSummary one = container(name);
    one.labels[key] = value;
    return one;
  };
  const std::string project = "com.docker.compose.project";
  // The container's own label decides, whatever the files say.
  CHECK(found(labelled("lab-postgres-1", project, "lab"), {}));
  CHECK(found(labelled("lab_postgres_1", project, "lab"), {"core"}));
  CHECK(found(labelled("lab-ledger-postgres-1", project, "lab-ledger"), {}));
  CHECK_FALSE(found(labelled("lab-ledger-postgres-1", project, "lab"), {"lab-ledger"}));
  CHECK_FALSE(found(labelled("lab-postgres-1", project, "core"), {"lab"}));
  // Without that label, but with others of Compose, the project is unknown.
  CHECK_FALSE(found(labelled("lab-postgres-1", "com.docker.compose.oneoff", "False"), {"lab"}));
  // Labels that are not Compose's do not name a project.
  CHECK(found(labelled("lab-postgres-1", "maintainer", "x"), {"core", "lab"}));
  CHECK(found(container("lab_postgres_1"), {"lab"}));
  CHECK_FALSE(found(container("lab-ledger-postgres-1"), {"lab", "core"}));
  CHECK_FALSE(found(container("lab-postgres-1"), {}));
  CHECK_FALSE(found(container("lab-postgres-1"), {"la", "lab-", "LAB"}));
}

TEST_CASE("lookup: a container of another service is not found by a name") {
  // Compose calls service ledger-postgres of project lab like this.
  const wire::ContainerSummary other = compose_container("lab", "ledger-postgres");
  REQUIRE(other.names.front() == "lab-ledger-postgres-1");
  const std::string hint =
      "passed over, being of another compose service: lab-ledger-postgres-1 (ledger-postgres); "
      "if you mean one of them, name it with --container, or in the configuration with "
      "modules.postgres.container";

  LookupClues clues = clues_for("postgres");
  clues.projects = {"lab", "lab-ledger"};
  SUBCASE("not by a name as Compose composes it") {}
  SUBCASE("not by container_name in the compose files") {
    clues.compose_names = {"lab-ledger-postgres-1"};
  }
  SUBCASE("not by the runbook") {
    clues.runbook_names = {"lab-ledger-postgres-1"};
  }
  CHECK(candidates(clues, {other}).containers.empty());
  const Outcome outcome = look_up(clues, {other});
  CHECK(outcome.error == "no container was found for module postgres");
  CHECK(outcome.hint == hint);
  // The operator may still name it.
  clues.option = "lab-ledger-postgres-1";
  CHECK(look_up(clues, {other}).step == "--container lab-ledger-postgres-1");
  clues.option.reset();
  clues.configured = "lab-ledger-postgres-1";
  CHECK(look_up(clues, {other}).step == "configuration modules.postgres.container");
}

TEST_CASE("lookup: a container of another service is not found by the exact name either") {
  LookupClues clues = clues_for("postgres");
  const wire::ContainerSummary other = compose_container("lab", "database", "postgres");
  CHECK(contains(look_up(clues, {other}).hint,
                 "passed over, being of another compose service: postgres (database); if"));
  // Nor is it found by an id in a runbook.
  wire::ContainerSummary with_id = compose_container("lab", "database", "data");
  with_id.id = "0123456789abcdef";
  clues.runbook_names = {"0123456789ab"};
  CHECK(contains(look_up(clues, {with_id}).hint, "data (database)"));
  // It does not hide a container that is found by name.
  clues.projects = {"core"};
  CHECK(look_up(clues, {other, with_id, container("core-postgres-1")}).name == "core-postgres-1");
  // A label that says nothing names no other service.
  wire::ContainerSummary vague = container("postgres");
  vague.labels["com.docker.compose.service"] = "";
  CHECK(look_up(clues, {vague}).step == "the name postgres");
}

TEST_CASE("lookup: all that were passed over are named, beside files that were not read") {
  LookupClues clues = clues_for("db");
  clues.unread = {"compose/core/compose.yaml:3:7: a mapping was expected"};
  wire::ContainerSummary run = compose_container("c", "x-db", "c-x-db-run-1");
  run.labels["com.docker.compose.oneoff"] = "True";
  const Outcome outcome =
      look_up(clues, {compose_container("b", "y-db"), compose_container("a", "x-db"),
                      compose_container("a", "web"), run});
  CHECK(contains(outcome.hint, "compose/core/compose.yaml:3:7"));
  CHECK(contains(outcome.hint, "compose service: a-x-db-1 (x-db), b-y-db-1 (y-db); if you"));
}

TEST_CASE("lookup: a service whose name only ends in the module's name is not taken for it") {
  // <project>-<id>-N also fits a service whose name ends like the module's.
  const Containers all{compose_container("core", "honcho-db"), compose_container("core", "db")};
  const Outcome outcome = look_up(clues_for("db"), all);
  CHECK(outcome.name == "core-db-1");
  CHECK(outcome.step == "label com.docker.compose.service=db");
}

TEST_CASE("lookup: one-off containers are never chosen, even if they are the only ones") {
  wire::ContainerSummary run = compose_container("core", "db", "core-db-run-0a1b");
  for (const std::string value : {"True", "true"}) {
    run.labels["com.docker.compose.oneoff"] = value;
    CHECK(look_up(clues_for("db"), {run}).error == "no container was found for module db");
    CHECK(candidates(clues_for("db"), {run}).containers.empty());
    LookupClues clues = clues_for("db");
    clues.option = "core-db-run-0a1b";
    CHECK(look_up(clues, {run}).error != "");
  }
  CHECK(look_up(clues_for("db"), {run, compose_container("core", "db")}).name == "core-db-1");
}

TEST_CASE("lookup: what a rollback has put aside is never chosen, though it has all labels") {
  wire::ContainerSummary aside =
      compose_container("core", "db", "core-db-1-replaced-20261123T120000Z");
  CHECK(look_up(clues_for("db"), {aside}).error == "no container was found for module db");
  aside.state = "running";
  CHECK(look_up(clues_for("db"), {aside, compose_container("core", "db")}).name == "core-db-1");
}

TEST_CASE("lookup: a running container comes before those that are not running") {
  for (const std::string up : {"running", "paused", "restarting"}) {
    for (const std::string down : {"exited", "created", "dead"}) {
      CAPTURE(up);
      CAPTURE(down);
      const Outcome outcome = look_up(clues_for("db"), {compose_container("old", "db", "", down),
                                                        compose_container("new", "db", "", up)});
      CHECK(outcome.name == "new-db-1");
    }
  }
  CHECK(look_up(clues_for("db"), {compose_container("old", "db", "", "exited")}).name ==
        "old-db-1");
}

TEST_CASE("lookup: if several remain they are listed, and none is chosen") {
  const Outcome outcome = look_up(
      clues_for("db"), {compose_container("b", "db", "", "paused"), compose_container("a", "db"),
                        compose_container("c", "db", "", "exited")});
  CHECK(outcome.name == "");
  CHECK(outcome.error ==
        "2 containers could be module db by label com.docker.compose.service=db: a-db-1 (running), "
        "b-db-1 (paused)");
  CHECK(contains(outcome.hint, "--container"));
  CHECK(contains(outcome.hint, "modules.db.container"));
  const Outcome stopped = look_up(clues_for("db"), {compose_container("a", "db", "", "exited"),
                                                    compose_container("b", "db", "", "dead")});
  CHECK(contains(stopped.error, "a-db-1 (exited), b-db-1 (dead)"));
}

TEST_CASE("lookup: a step that finds several does not fall through to the next") {
  const Containers all{compose_container("a", "db"), compose_container("b", "db"), container("db")};
  CHECK(contains(look_up(clues_for("db"), all).error, "2 containers could be module db"));
}

TEST_CASE("lookup: of several names in a file, the first one that exists is used") {
  const Containers all{container("second"), container("third")};
  LookupClues clues = clues_for("db");
  clues.compose_names = {"first", "second", "third"};
  CHECK(look_up(clues, all).name == "second");
  clues.compose_names.clear();
  clues.runbook_names = {"none", "third", "second"};
  CHECK(look_up(clues, all).name == "third");
}

TEST_CASE("lookup: where none is found, similar names and services are suggested") {
  const Containers all{container("postgers"), compose_container("core", "postgresql"),
                       container("far-away")};
  const Outcome outcome = look_up(clues_for("postgres"), all);
  CHECK(outcome.error == "no container was found for module postgres");
  CHECK(contains(outcome.hint, "postgers"));
  CHECK(contains(outcome.hint, "postgresql"));
  CHECK_FALSE(contains(outcome.hint, "far-away"));
  CHECK(look_up(clues_for("postgres"), {}).hint == "see `docker ps -a` for what there is");
}

TEST_CASE("lookup: candidates are all that the first step finds, stopped ones too") {
  const Containers all{compose_container("a", "db"), compose_container("b", "db", "", "exited"),
                       container("db")};
  const Candidates found = candidates(clues_for("db"), all);
  CHECK(found.step == "label com.docker.compose.service=db");
  REQUIRE(found.containers.size() == 2);
  CHECK(found.containers[0].names.front() == "a-db-1");
  CHECK(found.containers[1].names.front() == "b-db-1");
}

TEST_CASE(
    "lookup: a file that could not be read is named where nothing was found, and only there") {
  LookupClues clues = clues_for("db");
  clues.unread = {"compose/core/compose.yaml:3:7: a mapping was expected"};
  const Outcome none = look_up(clues, {container("db2")});
  CHECK(none.error == "no container was found for module db");
  CHECK(contains(none.hint, "compose/core/compose.yaml:3:7"));
  CHECK(contains(none.hint, "did you mean db2?"));
  CHECK(look_up(clues, {container("db")}).name == "db");
}
