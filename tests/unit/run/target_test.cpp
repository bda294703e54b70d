// What the platform's files say about a module's container.
#include "bba/run/target.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "unit/conf/files.hpp"

using namespace bba;
using namespace bba::run;
using Names = std::vector<std::string>;

TEST_CASE("clues: names and projects are read from the platform's files") {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", "name: lab\nservices: {db: {container_name: lab-data}}");
  root.write("compose/core/compose.yaml", "services: {web: {container_name: web}}");
  root.write("compose/base/compose.yaml", "services: 7");
  root.write("modules/db/runbook.md", "    docker exec lab-db sh\n");
  const LookupClues clues = clues_of({}, root.path(), "db");
  CHECK(clues.module == "db");
  CHECK_FALSE(clues.option);
  CHECK_FALSE(clues.configured);
  CHECK(clues.compose_names == Names{"lab-data"});
  CHECK(clues.runbook_names == Names{"lab-db"});
  CHECK(clues.projects == Names{"lab", "core", "base"});
  REQUIRE(clues.unread.size() == 1);
  CHECK(clues.unread[0].find("compose/base/compose.yaml:1:11") != std::string::npos);
}

TEST_CASE("clues: a container that the configuration names needs none of the files") {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", "name: [broken]");
  conf::Config config;
  config.modules["db"].container = "there";
  const LookupClues clues = clues_of(config, root.path(), "db");
  CHECK(clues.configured == "there");
  CHECK(clues.projects == Names{});
  CHECK(clues.unread == Names{});
}
