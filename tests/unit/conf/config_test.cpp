#include "bba/conf/config.hpp"

#include <string>

#include <doctest/doctest.h>

#include "files.hpp"

using namespace std::chrono_literals;
using bba::conf::Config;
using bba::conf::load_config;
using bba::conf::parse_config;

namespace {

std::string error_of(const std::string& text) {
  return test::config_error([&] { parse_config(text, "c.yaml", "ABCDEFG"); });
}

std::string hint_of(const std::string& text) {
  try {
    parse_config(text, "c.yaml", "ABCDEFG");
  } catch (const bba::Error& error) {
    return error.hint();
  }
  return "no error";
}

}  // namespace

TEST_CASE("config: an empty or missing file gives the defaults") {
  for (const char* text : {"", "\n", "# platform_root: /x\n", "---\n", "{}\n"}) {
    CAPTURE(text);
    const Config config = parse_config(text, "c.yaml", "ABCDEFG");
    CHECK(config.platform_root == "/opt/pdurlej-platform");
    CHECK_FALSE(config.backup_dir);
    CHECK(config.class_rules.empty());
    CHECK(config.modules.empty());
  }
  const test::TempDir directory;
  const std::string absent = directory.path() + "/absent.yaml";
  CHECK(load_config(absent, false, "ABCDEFG").compression == "gzip");
  CHECK(load_config(directory.path() + "/no/such/directory.yaml", false, "ABCDEFG").compression ==
        "gzip");
  CHECK(test::config_error([&] { load_config(absent, true, "ABCDEFG"); }) ==
        absent + ": No such file or directory");
  // A link that leads nowhere is a mistake, not an absent file.
  directory.link("nowhere", "dangling.yaml");
  CHECK(test::config_error(
            [&] { load_config(directory.path() + "/dangling.yaml", false, "ABCDEFG"); }) != "");
  directory.write("c.yaml", "compression: zstd\n");
  CHECK(load_config(directory.path() + "/c.yaml", true, "ABCDEFG").compression == "zstd");
}

TEST_CASE("config: every key is read") {
  const Config config = parse_config(R"(
platform_root: /srv/platform
backup_dir: /srv/backups
state_dir: /run/x
proof_dir: /var/lib/x
host: unix:///run/docker.sock
compression: zstd
consistency: stop
connect_timeout: 7s
silence_timeout: 2m
timeout: 1h30m
lock_wait_timeout: 90s
max_shrink: 65%
class_rules:
  - class: A
    modules: [pg-*, pg]
    images: ["*/postgres"]
  - {class: B, images: [redis]}
modules:
  kuma:
    class: E
    container: uptime-kuma-1
    paths: [/app/data/, //app/./x]
    excludes: ["*/cache/*"]
    consistency: live
    user: kuma
    env: [KUMA_TOKEN, _x1]
    compose_root: /opt/kuma
  bare: {}
)",
                                     "c.yaml", "ABCDEFG");
  CHECK(config.platform_root == "/srv/platform");
  CHECK(config.backup_dir == "/srv/backups");
  CHECK(config.state_dir == "/run/x");
  CHECK(config.proof_dir == "/var/lib/x");
  CHECK(config.host == "unix:///run/docker.sock");
  CHECK(config.compression == "zstd");
  CHECK(config.consistency == "stop");
  CHECK(config.connect_timeout == 7s);
  CHECK(config.silence_timeout == 2min);
  CHECK(config.timeout == 90min);
  CHECK(config.lock_wait_timeout == 90s);
  CHECK(config.max_shrink == doctest::Approx(0.65));
  REQUIRE(config.class_rules.size() == 2);
  CHECK(config.class_rules[0].module_class == 'A');
  CHECK(config.class_rules[0].modules == std::vector<std::string>{"pg-*", "pg"});
  CHECK(config.class_rules[0].images == std::vector<std::string>{"*/postgres"});
  CHECK(config.class_rules[1].module_class == 'B');
  CHECK(config.class_rules[1].modules.empty());
  REQUIRE(config.modules.size() == 2);
  const bba::conf::ModuleSettings& kuma = config.modules.at("kuma");
  CHECK(kuma.module_class == 'E');
  CHECK(kuma.container == "uptime-kuma-1");
  CHECK(kuma.paths == std::vector<std::string>{"/app/data", "/app/x"});
  CHECK(kuma.excludes == std::vector<std::string>{"*/cache/*"});
  CHECK(kuma.consistency == "live");
  CHECK(kuma.user == "kuma");
  CHECK(kuma.env == std::vector<std::string>{"KUMA_TOKEN", "_x1"});
  CHECK(kuma.compose_root == "/opt/kuma");
  CHECK_FALSE(config.modules.at("bare").module_class);
}

TEST_CASE("config: unknown keys are errors that name the nearest one") {
  CHECK(error_of("\ncompresion: gzip") == "c.yaml:2:1: unknown key \"compresion\"");
  CHECK(hint_of("compresion: gzip") == "did you mean \"compression\"?");
  CHECK(error_of("modules:\n  kuma:\n    containers: x") ==
        "c.yaml:3:5: unknown key \"containers\"");
  CHECK(hint_of("modules:\n  kuma:\n    containers: x") == "did you mean \"container\"?");
  CHECK(error_of("class_rules:\n- class: A\n  image: [x]") == "c.yaml:3:3: unknown key \"image\"");
  CHECK(hint_of("class_rules:\n- class: A\n  image: [x]") == "did you mean \"images\"?");
  CHECK(hint_of("zzzzzzzzzz: 1").starts_with("one of: platform_root, backup_dir, "));
  CHECK(error_of("1: 2") == "c.yaml:1:1: unknown key \"1\"");
}

TEST_CASE("config: wrong types and values are errors that name their place") {
  const struct {
    std::string text;
    std::string error;
  } rows[] = {
      {"[]", "c.yaml:1:1: expected a mapping, found a list"},
      {"text", "c.yaml:1:1: expected a mapping, found text"},
      {"platform_root: 7", "c.yaml:1:16: expected text, found a number"},
      {"platform_root: [/x]", "c.yaml:1:16: expected text, found a list"},
      {"platform_root: ''", "c.yaml:1:16: must not be empty"},
      {"platform_root: srv/x", "c.yaml:1:16: \"srv/x\" is not an absolute path"},
      {"platform_root: /srv/../x", "c.yaml:1:16: \"/srv/../x\" must not contain \"..\""},
      {"platform_root: \"/a\\nb\"", "c.yaml:1:16: must be one line without control characters"},
      {"platform_root: \"/a\\0b\"", "c.yaml:1:16: must be one line without control characters"},
      {"host: tcp://1.2.3.4:2375", "c.yaml:1:7: \"tcp://1.2.3.4:2375\" is not a unix socket"},
      {"compression: xz", "c.yaml:1:14: unknown value \"xz\""},
      {"consistency: paus", "c.yaml:1:14: unknown value \"paus\""},
      {"timeout: 60", "c.yaml:1:10: a time needs a unit"},
      {"timeout: soon", "c.yaml:1:10: \"soon\" is not a span of time"},
      {"timeout: 0s", "c.yaml:1:10: \"0s\" is not between 1s and 365d"},
      {"lock_wait_timeout: 25d", "c.yaml:1:20: \"25d\" is not between 1s and 24d"},
      {"max_shrink: 80", "c.yaml:1:13: a share is between 0 and 1, or 0% and 100%"},
      {"max_shrink: -0.1", "c.yaml:1:13: a share is between 0 and 1, or 0% and 100%"},
      {"max_shrink: 101%", "c.yaml:1:13: a share is between 0 and 1, or 0% and 100%"},
      {"max_shrink: 9999%", "c.yaml:1:13: \"9999%\" is not a share"},
      {"max_shrink: '%'", "c.yaml:1:13: \"%\" is not a share"},
      {"max_shrink: '80'", "c.yaml:1:13: \"80\" is not a share"},
      {"max_shrink: true", "c.yaml:1:13: expected text, found a boolean"},
      {"class_rules: []", "c.yaml:1:14: no rule"},
      {"class_rules: {}", "c.yaml:1:14: expected a list, found a mapping"},
      {"class_rules: [{modules: [x]}]", "c.yaml:1:15: a rule needs a class"},
      {"class_rules: [{class: A}]", "c.yaml:1:15: a rule needs modules, images, or both"},
      {"class_rules: [{class: H, modules: [x]}]", "c.yaml:1:23: \"H\" is not a class"},
      {"class_rules: [{class: a, modules: [x]}]", "c.yaml:1:23: \"a\" is not a class"},
      {"class_rules: [{class: A, modules: x}]", "c.yaml:1:35: expected a list, found text"},
      {"modules: [x]", "c.yaml:1:10: expected a mapping, found a list"},
      {"modules: {../x: {}}", "c.yaml:1:11: \"../x\" is not a module id"},
      {"modules: {Kuma: {}}", "c.yaml:1:11: \"Kuma\" is not a module id"},
      {"modules: {kuma: }", "c.yaml:1:11: expected a mapping, found nothing"},
      {"modules: {k: {container: a/b}}", "c.yaml:1:26: \"a/b\" is not a container name"},
      {"modules: {k: {paths: [data]}}", "c.yaml:1:23: \"data\" is not an absolute path"},
      {"modules: {k: {paths: /data}}", "c.yaml:1:22: expected a list, found text"},
      {"modules: {k: {user: -x}}", "c.yaml:1:21: a user's name must not begin with a dash"},
      {"modules: {k: {user: 1000}}", "c.yaml:1:21: expected text, found a number"},
      {"modules: {k: {env: [A=b]}}",
       "c.yaml:1:21: \"A=b\" is not a name of an environment variable"},
      {"modules: {k: {env: [1A]}}", "c.yaml:1:21: \"1A\" is not a name of an environment variable"},
      {"compression: gzip\ncompression: zstd",
       "c.yaml:2:1: the key \"compression\" appears twice in one mapping"},
      {"backup_dir:", "c.yaml:1:1: expected text, found nothing"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(error_of(row.text) == row.error);
  }
}

TEST_CASE("config: the error of a wrong value says what would be right") {
  CHECK(hint_of("consistency: paus") == "did you mean \"pause\"?");
  CHECK(hint_of("compression: xz") == "one of: gzip, zstd");
  CHECK(hint_of("timeout: 60") == "write \"60s\" for seconds");
  CHECK(hint_of("modules: {k: {user: 1000}}") == "put it in quotes: \"1000\"");
}

TEST_CASE("config: merge keys and anchors work here too") {
  const Config config = parse_config(R"(
modules:
  a: &defaults {consistency: live, user: x}
  b:
    <<: *defaults
    user: y
)",
                                     "c.yaml", "ABCDEFG");
  CHECK(config.modules.at("b").consistency == "live");
  CHECK(config.modules.at("b").user == "y");
}
