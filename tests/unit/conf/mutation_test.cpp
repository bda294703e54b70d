// Damaged copies of every file that is read: each loads or is an Error{config}, in little time.
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/conf/config.hpp"
#include "bba/conf/platform.hpp"
#include "files.hpp"

namespace {

namespace fs = std::filesystem;

// One to four damages of the kinds that typing, disks and merges cause, and some that attackers
// would.
std::string damaged(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most - 1)(random);
  };
  static const std::vector<std::string> pieces{
      "[",       "]",
      "{",       "}",
      ":",       ": ",
      "- ",      "\n",
      "\t",      "  ",
      "&a ",     "*a",
      "<<: ",    "? ",
      "|\n",     ">",
      "'",       "\"",
      "#",       "%",
      "!!int ",  "---\n",
      ",",       "...",
      "~",       "\\x00",
      "\xff",    "\x04",
      "null",    "1e9",
      "true",    "..",
      "/",       "$",
      "@",       "`",
      "!<",      "\\\"\\",
      "\r",      "\xEF\xBB\xBF",
      "&a [*a]", "<<: [*defaults, *a]\n",
  };
  for (std::size_t count = 1 + below(4); count > 0; --count) {
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min(text.size() - at, below(40));
    switch (below(7)) {
      case 0:
        text.insert(at, pieces[below(pieces.size())]);
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(below(text.size() + 1), text.substr(at, length));
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 4:
        text.replace(at, length, pieces[below(pieces.size())]);
        break;
      case 5:
        text.resize(at);
        break;
      default: {
        const std::string& piece = pieces[below(pieces.size())];
        std::string run;
        for (std::size_t i = below(200); i > 0; --i) run += piece;
        text.insert(at, run);
      }
    }
  }
  return text;
}

struct Outcome {
  int loaded = 0;
  int refused = 0;
  std::chrono::steady_clock::duration slowest{};
};

template <class Load>
void attempt(Outcome& outcome, Load load) {
  const auto start = std::chrono::steady_clock::now();
  const std::string error = test::config_error(load);  // any other exception ends the test
  outcome.slowest = std::max(outcome.slowest, std::chrono::steady_clock::now() - start);
  ++(error.empty() ? outcome.loaded : outcome.refused);
}

void check(const Outcome& outcome) {
  // Both outcomes must occur, or the mutations test nothing.
  CHECK(outcome.loaded > 20);
  CHECK(outcome.refused > 20);
  CHECK(outcome.slowest < std::chrono::seconds(5));
}

const std::string platform = BBA_SOURCE_DIR "/fixtures/platform";

}  // namespace

TEST_CASE("mutations: a damaged configuration loads or is a configuration error") {
  const std::string example = test::content_of(BBA_SOURCE_DIR "/fixtures/config/example.yaml");
  std::mt19937 random(20261123);
  Outcome outcome;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = damaged(example, random);
    attempt(outcome, [&] { bba::conf::parse_config(text, "c.yaml", "ABCDEFG"); });
  }
  check(outcome);
}

TEST_CASE("mutations: a damaged module.yaml loads or is reported") {
  const test::TempDir root;
  std::mt19937 random(20261124);
  Outcome outcome;
  for (const std::string id : {"infisical", "vault", "minio-init", "git-mirror"}) {
    const std::string original = test::content_of(platform + "/modules/" + id + "/module.yaml");
    for (int i = 0; i < 500; ++i) {
      root.write("modules/m/module.yaml", damaged(original, random));
      attempt(outcome, [&] { bba::conf::load_module(root.path(), "m"); });
    }
  }
  check(outcome);
}

TEST_CASE("mutations: damaged compose files load or are reported, included ones too") {
  const test::TempDir root;
  fs::copy(platform + "/compose", root.path() + "/compose", fs::copy_options::recursive);
  std::mt19937 random(20261125);
  Outcome outcome;
  for (const std::string file :
       {"apps/compose.yaml", "apps/agents.yaml", "apps/media/media.storage.yaml",
        "core/compose.yaml", "base/compose.yaml"}) {
    const std::string original = test::content_of(platform + "/compose/" + file);
    for (int i = 0; i < 100; ++i) {
      root.write("compose/" + file, damaged(original, random));
      attempt(outcome, [&] {
        std::vector<std::string> problems;
        bba::conf::load_compose(root.path(), problems);
        if (!problems.empty()) throw bba::Error(bba::ErrorKind::config, problems.front());
      });
    }
    root.write("compose/" + file, original);
  }
  check(outcome);
}

TEST_CASE("mutations: runbooks always load") {
  std::mt19937 random(20261126);
  for (const std::string id : {"postgres", "vault", "nextcloud"}) {
    const std::string original = test::content_of(platform + "/modules/" + id + "/runbook.md");
    for (int i = 0; i < 500; ++i) {
      for (const std::string& name : bba::conf::containers_in_runbook(damaged(original, random))) {
        CHECK(name.find_first_of("/ \n$<") == std::string::npos);
      }
    }
  }
}
