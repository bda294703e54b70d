// The commented example and the documentation hold every key that the reader knows, the example's
// values are the defaults, and its samples are valid.
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/conf/config.hpp"
#include "files.hpp"

using bba::conf::Config;
using bba::conf::parse_config;

namespace {

const std::string example_file = BBA_SOURCE_DIR "/fixtures/config/example.yaml";

// The reader's own list, from the hint that it gives where no known key is near.
std::vector<std::string> keys_known(const std::string& text_with_unknown_key) {
  try {
    parse_config(text_with_unknown_key, "c.yaml", "ABCDEFGH");
  } catch (const bba::Error& error) {
    const std::string_view hint = error.hint();
    REQUIRE(hint.starts_with("one of: "));
    std::vector<std::string> keys;
    for (const std::string_view key : bba::split(hint.substr(8), ',')) {
      keys.emplace_back(bba::trimmed(key));
    }
    return keys;
  }
  FAIL("no error");
  return {};
}

// "key:" at the indentation given, not in a comment.
bool has_key(std::string_view text, std::string_view key, std::size_t indentation) {
  for (std::string_view line : bba::split(text, '\n')) {
    if (line.size() < indentation) continue;
    const std::string_view before = line.substr(0, indentation);
    if (before.find_first_not_of(" -") != before.npos) continue;
    line.remove_prefix(indentation);
    if (line.starts_with(key) && line.substr(key.size()).starts_with(":")) return true;
  }
  return false;
}

// With the samples: lines that start with a # that is not followed by one blank and text.
std::string with_samples() {
  std::string text;
  const std::string example = test::content_of(example_file);
  for (std::string_view line : bba::split(example, '\n')) {
    const bool is_text = line.size() > 2 && line[1] == ' ' && line[2] != ' ';
    if (line.starts_with('#') && !is_text) line.remove_prefix(1);
    text.append(line).push_back('\n');
  }
  return text;
}

}  // namespace

TEST_CASE("example: every key of the configuration is in it and in the documentation") {
  const std::string example = with_samples();
  const std::string documentation = test::content_of(BBA_SOURCE_DIR "/docs/configuration.md");
  const struct {
    std::string unknown;
    std::size_t indentation;
    std::size_t count;
  } sections[] = {
      {"qqqqqqqqqqqqqqqqqqqq: 1", 0, 14},
      {"class_rules: [{qqqqqqqqqqqqqqqqqqqq: 1}]", 4, 3},
      {"modules: {m: {qqqqqqqqqqqqqqqqqqqq: 1}}", 4, 8},
  };
  for (const auto& section : sections) {
    const std::vector<std::string> keys = keys_known(section.unknown);
    CHECK(keys.size() == section.count);
    for (const std::string& key : keys) {
      CAPTURE(key);
      CHECK(has_key(example, key, section.indentation));
      CHECK(documentation.find("`" + key + "`") != std::string::npos);
    }
  }
}

TEST_CASE("example: its values are the defaults") {
  const Config example = bba::conf::load_config(example_file, true, "ABCDEFGH");
  const Config defaults;
  CHECK(example.platform_root == defaults.platform_root);
  CHECK_FALSE(example.backup_dir.has_value());
  CHECK(example.state_dir == defaults.state_dir);
  CHECK(example.proof_dir == defaults.proof_dir);
  CHECK_FALSE(example.host.has_value());
  CHECK(example.compression == defaults.compression);
  CHECK(example.consistency == defaults.consistency);
  CHECK(example.connect_timeout == defaults.connect_timeout);
  CHECK(example.silence_timeout == defaults.silence_timeout);
  CHECK_FALSE(example.timeout.has_value());
  CHECK(example.lock_wait_timeout == defaults.lock_wait_timeout);
  CHECK(example.max_shrink == defaults.max_shrink);
  CHECK(example.modules.empty());
  // Its class rules are compared with those of the services where these are known.
}

TEST_CASE("example: its commented samples are valid") {
  const Config example = parse_config(with_samples(), "example.yaml", "ABCDEFGH");
  CHECK(example.backup_dir == "/srv/backups");
  CHECK(example.host == "unix:///run/user/1000/docker.sock");
  CHECK(example.timeout == std::chrono::hours(6));
  CHECK(example.modules.at("uptime-kuma").module_class == 'E');
  CHECK(example.modules.at("uptime-kuma").paths == std::vector<std::string>{"/app/data"});
  CHECK(example.modules.at("honcho-postgres").env == std::vector<std::string>{"PGPASSWORD"});
  CHECK(example.modules.at("agaria-postgres").compose_root == "/opt/agaria");
}
