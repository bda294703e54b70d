// The command line: what operators type, and what they are told where it is wrong.
#include "cli/options.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using namespace bba;
using namespace bba::cli;
using namespace std::chrono_literals;
using Words = std::vector<std::string>;

namespace {

Options parse(const Words& words) {
  std::vector<const char*> argv{"backup-before-apply"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return parse_options(static_cast<int>(argv.size()), argv.data());
}

struct Refusal {
  std::string what, hint;
};

Refusal refusal(const Words& words) {
  try {
    parse(words);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return {error.what(), error.hint()};
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("options: a module alone is a backup of it") {
  const Options options = parse({"postgres"});
  CHECK(options.command == "backup");
  CHECK(options.modules == Words{"postgres"});
  CHECK_FALSE(options.json);
  CHECK_FALSE(options.dry_run);
  CHECK_FALSE(options.platform_root.has_value());
  CHECK_FALSE(options.module_class.has_value());
  CHECK(options.text == "");
}

TEST_CASE("options: a module that has a command's name is reached with backup") {
  CHECK(parse({"backup", "plan"}).modules == Words{"plan"});
  CHECK(parse({"backup", "backup"}).modules == Words{"backup"});
  CHECK(parse({"backup", "audit"}).command == "backup");
  CHECK(parse({"plan", "plan"}).modules == Words{"plan"});
}

TEST_CASE("options: only backup takes several modules") {
  CHECK(parse({"backup", "a", "b"}).modules == Words{"a", "b"});
  CHECK(parse({"a", "b"}).modules == Words{"a", "b"});
  CHECK(refusal({"plan", "a", "b"}).what != "");
  CHECK(refusal({"backup"}).what != "");
  CHECK(refusal({"plan"}).what != "");
}

TEST_CASE("options: global options stand before or after the command, or without one") {
  for (const Words& words : {Words{"--platform-root", "/p", "--json", "plan", "x"},
                             Words{"plan", "--platform-root", "/p", "x", "--json"},
                             Words{"--json", "plan", "x", "--platform-root=/p"},
                             Words{"--platform-root=/p", "plan", "--json", "x"}}) {
    const Options options = parse(words);
    CHECK(options.command == "plan");
    CHECK(options.modules == Words{"x"});
    CHECK(options.platform_root == "/p");
    CHECK(options.json);
  }
  const Options options = parse({"--backup-dir", "/b", "x", "--config", "/c", "--host", "unix:///h",
                                 "--state-dir", "/s", "--proof-dir", "/q"});
  CHECK(options.command == "backup");
  CHECK(options.modules == Words{"x"});
  CHECK(options.backup_dir == "/b");
  CHECK(options.config == "/c");
  CHECK(options.host == "unix:///h");
  CHECK(options.state_dir == "/s");
  CHECK(options.proof_dir == "/q");
}

TEST_CASE("options: the value of an option is not taken for a module or a command") {
  const Options options = parse({"--platform-root", "plan", "x"});
  CHECK(options.command == "backup");
  CHECK(options.platform_root == "plan");
  CHECK(options.modules == Words{"x"});
  CHECK(parse({"--container", "audit", "x"}).container == "audit");
}

TEST_CASE("options: the options of a backup are read") {
  const Options options =
      parse({"backup", "x", "--container", "c", "--class", "E", "--consistency", "stop", "--path",
             "/a", "--path", "/b c", "--compression", "zstd", "--timeout", "15m", "--dry-run"});
  CHECK(options.container == "c");
  CHECK(options.module_class == 'E');
  CHECK(options.consistency == "stop");
  CHECK(options.paths == Words{"/a", "/b c"});
  CHECK(options.compression == "zstd");
  CHECK(options.timeout == 15min);
  CHECK(options.dry_run);
  // --path takes one value: what follows is the module.
  const Options path_first = parse({"backup", "--path", "/a", "x"});
  CHECK(path_first.paths == Words{"/a"});
  CHECK(path_first.modules == Words{"x"});
  CHECK(parse({"x", "--path", "/a/", "--path", "//b/.//c/"}).paths == Words{"/a", "/b/c"});
}

TEST_CASE("options: --container and --path are refused with several modules") {
  CHECK(contains(refusal({"backup", "a", "b", "--container", "c"}).what, "--container"));
  CHECK(contains(refusal({"a", "b", "--path", "/data"}).what, "--path"));
  CHECK(parse({"a", "--container", "c"}).container == "c");
}

TEST_CASE("options: a mistyped command gets a suggestion") {
  for (const auto& [word, command] : std::map<std::string, std::string>{{"verfy", "verify"},
                                                                        {"verifyy", "verify"},
                                                                        {"prun", "prune"},
                                                                        {"paln", "plan"},
                                                                        {"backpu", "backup"},
                                                                        {"lisd", "list"},
                                                                        {"gate1", "gate"}}) {
    CAPTURE(word);
    const Options options = parse({word});
    CHECK(options.command == "backup");
    CHECK(options.modules == Words{word});
    CHECK(options.meant_command == command);
    CHECK(parse({"backup", word}).meant_command == "");
  }
  for (const std::string word :
       {"postgres", "gitea", "plex", "agent-plane", "kuma", "e2e-1-2-list"}) {
    CAPTURE(word);
    CHECK(parse({word}).meant_command == "");
  }
  CHECK(refusal({"prun", "--keep-last", "3"}).hint == "did you mean `prune`?");
}

TEST_CASE("options: help is a command, too") {
  CHECK(parse({"help"}).text == parse({"--help"}).text);
  CHECK(parse({"help", "gate"}).text == parse({"gate", "--help"}).text);
  CHECK(parse({"--json", "help"}).text == parse({"--help"}).text);
  CHECK(parse({"backup", "help"}).modules == Words{"help"});
  CHECK(refusal({"help", "gaet"}).hint == "did you mean gate?");
  CHECK(contains(refusal({"help", "postgres"}).hint, "--help"));
}

TEST_CASE(
    "options: each command's help names the program, its exit codes and the way to the rest") {
  for (const std::string command :
       {"backup", "plan", "audit", "verify", "drill", "gate", "list", "prune", "recover"}) {
    CAPTURE(command);
    const std::string help = parse({command, "--help"}).text;
    CHECK(contains(help, "Usage: backup-before-apply " + command));
    CHECK(contains(help, "  backup-before-apply " + command));
    CHECK(contains(help, "Exit code"));
    CHECK(contains(help, "Global options: see `backup-before-apply --help`"));
    CHECK_FALSE(contains(help, "The result goes to"));
  }
  CHECK(contains(parse({"--help"}).text, "The result goes to standard output"));
  CHECK(contains(parse({"--help"}).text, "configuration's `host`"));
}

TEST_CASE("options: invalid values are refused") {
  for (const Words& words : {Words{"x", "--class", "Z"},
                             {"x", "--class", "e"},
                             {"x", "--path", ""},
                             {"x", "--path", "data"},
                             {"x", "--path", "/data/../x"},
                             {"x", "--path", "/da\nta"},
                             {"x", "--class", "AB"},
                             {"x", "--class", ""},
                             {"x", "--consistency", "freeze"},
                             {"x", "--compression", "none"},
                             {"x", "--compression", "bzip2"},
                             {"x", "--timeout", "5"},
                             {"x", "--timeout", "-5s"},
                             {"x", "--timeout", "soon"},
                             {"x", "--color", "blue"},
                             {"audit", "--format", "html"},
                             {"gate", "x", "--require", "hoped"},
                             {"gate", "x", "--max-age", "old"},
                             {"gate", "x", "--max-shrink", "200%"},
                             {"prune", "--keep-last", "-1"},
                             {"prune", "--keep-within", "14"}}) {
    CAPTURE(words.back());
    CHECK(refusal(words).what != "");
  }
}

TEST_CASE("options: an option of another command is refused") {
  CHECK(refusal({"audit", "--container", "c"}).what != "");
  CHECK(refusal({"recover", "--format", "json"}).what != "");
  CHECK(refusal({"plan", "x", "--compression", "zstd"}).what != "");
  CHECK(refusal({"audit", "x"}).what != "");
  CHECK(refusal({"recover", "x"}).what != "");
}

TEST_CASE("options: a mistyped option gets a suggestion") {
  CHECK(refusal({"x", "--contianer", "c"}).hint == "did you mean --container?");
  CHECK(refusal({"x", "--platform-rot=/p"}).hint == "did you mean --platform-root?");
  CHECK(refusal({"audit", "--fromat", "json"}).hint == "did you mean --format?");
  CHECK(contains(refusal({"plan", "x", "--zzzzzzzzz"}).hint, "plan --help"));
}

TEST_CASE("options: neither a module nor a command is wrong usage") {
  CHECK(contains(refusal({}).what, "no module and no command"));
  CHECK(contains(refusal({"--json"}).what, "no module and no command"));
  CHECK(contains(refusal({"--platform-root", "x"}).what, "no module and no command"));
  CHECK(contains(refusal({}).hint, "--help"));
}

TEST_CASE("options: color, quiet and verbose are read") {
  const Options plain = parse({"x"});
  CHECK(plain.style.color == Color::automatic);
  CHECK_FALSE(plain.style.quiet);
  CHECK_FALSE(plain.style.verbose);
  CHECK(parse({"x", "--color", "always"}).style.color == Color::always);
  CHECK(parse({"x", "--color=never"}).style.color == Color::never);
  CHECK(parse({"-q", "x"}).style.quiet);
  CHECK(parse({"x", "--quiet"}).style.quiet);
  CHECK(parse({"-v", "x"}).style.verbose);
}

TEST_CASE("options: the options of audit are read") {
  CHECK(parse({"audit"}).command == "audit");
  CHECK_FALSE(parse({"audit"}).format.has_value());
  for (const std::string format : {"table", "json", "markdown"}) {
    CHECK(parse({"audit", "--format", format}).format == format);
  }
  CHECK(parse({"audit", "--json"}).json);
}

TEST_CASE("options: the options of drill are read") {
  const Options drill = parse({"drill", "postgres", "--memory", "512MiB"});
  CHECK(drill.command == "drill");
  CHECK(drill.modules == Words{"postgres"});
  CHECK(drill.memory == std::uint64_t{512} << 20);
  CHECK_FALSE(parse({"drill", "postgres"}).memory);
  CHECK(contains(refusal({"drill", "postgres", "--memory", "5MiB"}).what, "6MiB or more"));
  CHECK(contains(refusal({"drill", "postgres", "--memory", "much"}).what, "is not a size"));
  CHECK(refusal({"drill"}).what != "");
  CHECK(refusal({"drill", "a", "b"}).what != "");
  CHECK(contains(parse({"drill", "--help"}).text, "without network"));
}

TEST_CASE("options: the options of verify, gate, list and prune are read") {
  CHECK(parse({"verify", "/backups/x.sql.gz"}).modules == Words{"/backups/x.sql.gz"});
  const Options gate = parse({"gate", "x", "--max-age", "2h", "--require", "drilled", "--ref",
                              "/b/x.sql.gz", "--max-shrink", "50%", "--skip-image-check"});
  CHECK(gate.max_age == 2h);
  CHECK(gate.require_proof == "drilled");
  CHECK(gate.reference == "/b/x.sql.gz");
  REQUIRE(gate.max_shrink.has_value());
  CHECK(*gate.max_shrink == doctest::Approx(0.5));
  CHECK(gate.skip_image_check);
  CHECK_FALSE(gate.accept_fallback);
  CHECK_FALSE(gate.accept_incomplete);
  CHECK(parse({"gate", "x", "--accept-fallback"}).accept_fallback);
  CHECK_FALSE(parse({"gate", "x", "--accept-fallback"}).accept_incomplete);
  CHECK(parse({"gate", "x", "--accept-incomplete"}).accept_incomplete);
  for (const std::string count : {"-1", "x", "1.5", "99999999999999999999999"}) {
    CHECK(refusal({"prune", "--keep-last=" + count}).what ==
          "--keep-last: '" + count + "' is not a number of sets: use 1, 2, 3, ...");
  }
  CHECK(parse({"list"}).modules.empty());
  CHECK(parse({"list", "x"}).modules == Words{"x"});
  const Options prune = parse({"prune", "x", "--keep-last", "3", "--keep-within", "14d",
                               "--dry-run", "--force", "--orphans"});
  CHECK(prune.keep_last == 3);
  CHECK(prune.keep_within == 14 * 24h);
  CHECK(prune.dry_run);
  CHECK(prune.force);
  CHECK(prune.orphans);
}

TEST_CASE("options: help and version print a text and run no command") {
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"postgres", "--help"},
                             Words{"plan", "--help"}, Words{"--version"}}) {
    CAPTURE(words.front());
    const Options options = parse(words);
    CHECK(options.command == "");
    CHECK(options.text != "");
  }
  const std::string help = parse({"--help"}).text;
  for (const std::string part : {"backup", "plan", "audit", "verify", "gate", "list", "prune",
                                 "recover", "--platform-root", "Exit codes", "124"}) {
    CAPTURE(part);
    CHECK(contains(help, part));
  }
  CHECK_FALSE(contains(help, "__guard"));
  CHECK(contains(parse({"audit", "--help"}).text, "markdown"));
  CHECK(parse({"--version"}).text == std::string("backup-before-apply ") + BBA_VERSION + "\n");
}

TEST_CASE("options: the guard's arguments are taken as they are") {
  const Options options = parse({"__guard", "/state", "--journal"});
  CHECK(options.guard == Words{"/state", "--journal"});
  CHECK(parse({"__guard", "/state"}).guard.empty());  // a module of a strange name
}
