#include "bba/conf/platform.hpp"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "files.hpp"

using bba::conf::load_module;
using bba::conf::load_platform;
using bba::conf::Module;
using bba::conf::module_ids;
using bba::conf::Platform;
using bba::conf::Statefulness;

namespace {

std::string error_of(const std::string& text) {
  const test::TempDir root;
  root.write("modules/m/module.yaml", text);
  const std::string error = test::config_error([&] { load_module(root.path(), "m"); });
  const std::string prefix = root.path() + "/modules/m/module.yaml:";
  return error.starts_with(prefix) ? error.substr(prefix.size()) : error;
}

}  // namespace

TEST_CASE("module.yaml: known keys are read, unknown ones are ignored") {
  const test::TempDir root;
  root.write("modules/minio-init/module.yaml", R"(apiVersion: platform/v1
kind: Module
metadata: {id: another-name, owners: [x]}
spec:
  source: {kind: upstream, repo: "https://example.org"}
  runtime:
    statefulness: sidecar-bound
    host: edge-1
    expected_state: exited-success
    image_observed: minio/mc:latest
    ports: [9000]
  release:
    backup_ref_modules: [minio, redis]
    rollback_capability: image-pin
    migration_policy: none
)");
  const std::optional<Module> module = load_module(root.path(), "minio-init");
  REQUIRE(module);
  CHECK(module->id == "minio-init");
  CHECK(module->statefulness == Statefulness::sidecar_bound);
  CHECK(module->host == "edge-1");
  CHECK(module->image_observed == "minio/mc:latest");
  CHECK(module->backup_ref_modules == std::vector<std::string>{"minio", "redis"});
}

TEST_CASE("module.yaml: a missing key leaves its value unknown") {
  const test::TempDir root;
  for (const std::string text : {"{}", "spec:", "spec: {}", "spec: {runtime: , release: }",
                                 "spec: {runtime: {statefulness: , host: ~}}"}) {
    CAPTURE(text);
    root.write("modules/m/module.yaml", text);
    const std::optional<Module> module = load_module(root.path(), "m");
    REQUIRE(module);
    CHECK(module->statefulness == Statefulness::unknown);
    CHECK(module->host == "");
    CHECK(module->backup_ref_modules.empty());
  }
  CHECK_FALSE(load_module(root.path(), "absent"));
  CHECK_FALSE(load_module(root.path() + "/nowhere", "absent"));
}

TEST_CASE("module.yaml: wrong types and values name file, line and column") {
  CHECK(error_of("") == "1:1: expected a mapping, found nothing");
  CHECK(error_of("[]") == "1:1: expected a mapping, found a list");
  CHECK(error_of("spec: 1") == "1:7: expected a mapping, found a number");
  CHECK(error_of("spec:\n  runtime: []") == "2:12: expected a mapping, found a list");
  CHECK(error_of("spec: {runtime: {statefulness: true}}") ==
        "1:32: expected text, found a boolean");
  CHECK(error_of("spec: {runtime: {statefulness: statefull}}") ==
        "1:32: unknown statefulness \"statefull\"");
  CHECK(error_of("spec: {runtime: {host: 17}}") == "1:24: expected text, found a number");
  CHECK(error_of("spec: {runtime: {image_observed: [x]}}") == "1:34: expected text, found a list");
  CHECK(error_of("spec: {release: {backup_ref_modules: minio}}") ==
        "1:38: expected a list, found text");
  CHECK(error_of("spec: {release: {backup_ref_modules: [minio, 3]}}") ==
        "1:46: expected text, found a number");
  CHECK(error_of("spec: {release: {backup_ref_modules: [../../etc]}}") ==
        "1:39: \"../../etc\" is not a module id");
}

TEST_CASE("module.yaml: keys that no backup uses may hold any value") {
  for (const std::string text :
       {"spec: {source: x, artifact: 1}", "spec: {runtime: {expected_state: {}}}",
        "spec: {runtime: {expected_state: 0, compose: [x]}}",
        "spec: {release: {rollback_capability: [image-pin], migration_policy: 1.5}}",
        "spec: {release: {rollback_capability: true}}", "{metadata: 3, kind: []}"}) {
    CAPTURE(text);
    CHECK(error_of(text) == "");
  }
}

TEST_CASE("modules: an id that is a path never reaches the filesystem") {
  const test::TempDir root;
  root.write("module.yaml", "spec: {runtime: {statefulness: stateful}}");
  root.write("modules/m/module.yaml", "{}");
  for (const std::string id : {"..", ".", "", "../m", "m/../m", "/etc", "m/", "M", "a..b"}) {
    CAPTURE(id);
    CHECK(test::config_error([&] { load_module(root.path(), id); }) ==
          "\"" + id + "\" is not a module id");
  }
}

TEST_CASE("modules: the ids are the directories' names") {
  const test::TempDir root;
  CHECK(module_ids(root.path()).empty());
  root.write("modules/b/module.yaml", "{}");
  root.write("modules/a/notes.md", "");
  root.write("modules/.git/config", "");
  root.write("modules/_template/module.yaml", "{}");
  root.write("modules/README.md", "");
  root.write("elsewhere/c/module.yaml", "{}");
  root.link("../elsewhere/c", "modules/c");
  root.link("nowhere", "modules/d");
  CHECK(module_ids(root.path()) == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("platform: a broken file is reported, and the rest is read") {
  const test::TempDir root;
  root.write("modules/good/module.yaml", "spec: {release: {backup_ref_modules: [bad, nobody]}}");
  root.write("modules/bad/module.yaml", "spec: {runtime: 1}");
  root.write("modules/bare/notes.md", "");
  root.write("modules/Odd/module.yaml", "{}");
  root.write("compose/apps/compose.yaml", "services: {a: {image: x}}");
  root.write("compose/core/compose.yaml", "services: {b: {image: x}, c: 1}");
  const Platform platform = load_platform(root.path());
  CHECK(platform.root == root.path());
  CHECK(platform.modules.size() == 1);
  CHECK(platform.modules.contains("good"));
  CHECK(platform.problems ==
        std::vector<std::string>{
            "\"Odd\" is not a module id",
            root.path() + "/modules/bad/module.yaml:1:17: expected a mapping, found a number",
            root.path() + "/modules/bare/module.yaml: missing",
            root.path() +
                "/modules/good/module.yaml: backup_ref_modules names nobody, which is not a module",
            root.path() + "/compose/core/compose.yaml:1:30: expected a mapping, found a number",
        });
  REQUIRE(platform.compose.services.size() >= 2);
  CHECK(platform.compose.services[0].name == "a");
  CHECK(platform.compose.services[1].name == "b");
}

TEST_CASE("platform: a missing platform is one problem") {
  const test::TempDir root;
  const Platform platform = load_platform(root.path());
  CHECK(platform.problems ==
        std::vector<std::string>{root.path() + "/modules: No such file or directory"});
}
