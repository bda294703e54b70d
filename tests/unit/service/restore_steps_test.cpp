// What each step prints for a shell, and what it asks of a target.
#include "bba/service/restore_steps.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/pipe/support.hpp"
#include "unit/service/fakes.hpp"

using namespace bba;
using namespace bba::service;
using Lines = std::vector<std::string>;

namespace {

ShellScript printed(const StepPtr& step, const std::string& file = "x.sql.gz") {
  ShellScript script;
  store::ArtifactRecord record;
  record.file = file;
  step->print(script, record, 2);
  return script;
}

// The words as a shell reads them.
std::string said_by_shell(const std::string& script) {
  const pipe::test::Ran ran = pipe::test::run(script);
  CHECK(ran.status == 0);
  return ran.output;
}

const LineRewrite roles{"\\connect ", "CREATE ROLE ", ";", {"<", "|", ">"}};
const std::string hostile = "x'; touch /tmp/bba-owned; '.*/$\\&";

std::string rewritten(const LineRewrite& rewrite, const std::string& text, std::size_t step) {
  pipe::test::Collector collector;
  const auto stage = rewrite_lines(rewrite, collector);
  pipe::test::feed(*stage, text, step);
  CHECK(collector.finished);
  return collector.text;
}

}  // namespace

TEST_CASE(
    "restore steps: lines are rewritten up to the line that ends the section, at every split") {
  const std::string before = "--\n-- Roles\n--\n\nCREATE ROLE app";
  const std::string text = before +
                           ";\nCREATE ROLE x WITH LOGIN\nALTER ROLE a;\n\\connect app\n\n"
                           "CREATE ROLE app;\n\nno end";
  const std::string expected =
      "--\n-- Roles\n--\n\n<app|app>\nCREATE ROLE x WITH LOGIN\nALTER ROLE a;\n\\connect app\n\n"
      "CREATE ROLE app;\n\nno end";
  for (std::size_t split = 0; split <= text.size(); ++split) {
    pipe::test::Collector collector;
    const auto stage = rewrite_lines(roles, collector);
    pipe::test::feed_split(*stage, text, split);
    REQUIRE(collector.text == expected);
  }
  for (const std::size_t step : {1U, 2U, 3U}) CHECK(rewritten(roles, text, step) == expected);
}

TEST_CASE("restore steps: texts without that line, without an end, and with a line too long") {
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("CREATE ROLE app"),
        std::string("CREATE ROLE"), std::string("\\connect x\nCREATE ROLE app;\n"),
        std::string("CREATE ROLE app WITH LOGIN;x\n"),
        std::string(200'000, 'x') + "\nCREATE ROLE app;\n"}) {
    CHECK(rewritten(roles, text, 1000) == text);
  }
  CHECK(rewritten(roles, "CREATE ROLE app;", 3) == "<app|app>");
  CHECK(rewritten(roles, "CREATE ROLE ;\n", 3) == "<|>\n");
}

TEST_CASE("restore steps: sed does for a shell what the stage does for a drill") {
  if (!pipe::test::has_program("sed")) return;
  const LineRewrite odd{hostile, "a.*[b]/", "\\$", {"&", "\\1/", "'"}};
  Feed feed{{{.argv = {"cat"}}}, odd, [](const FeedResult&) {}};
  const std::string line = printed(feed_program(feed), "x").lines.at(0);
  const std::size_t from = line.find("| sed ") + 2;
  const std::string sed = line.substr(from, line.rfind(" && printf x") - from);
  const std::string text =
      "a.*[b]/one\\$\naXXb/two\\$\na.*[b]/x\n" + hostile + " and more\na.*[b]/three\\$\n";
  const pipe::test::Ran ran = pipe::test::run(sed, text);
  CHECK(ran.status == 0);
  CHECK(ran.output == rewritten(odd, text, 5));
  CHECK(ran.output.starts_with("&one\\1/one'\n"));
}

TEST_CASE(
    "restore steps: a dump is piped through the filter, and no value of a variable is printed") {
  wire::ExecConfig exec;
  exec.argv = {"psql", "-U", "o'brien"};
  exec.user = "postgres";
  exec.env = {{"PGPASSWORD", "hunter2"}};
  Feed feed{{exec, {}}, {}, [](const FeedResult&) {}};
  CHECK(printed(feed_program(feed), "db 1.sql.gz").lines ==
        Lines{"ends=$({ { gunzip -c -- 'db 1.sql.gz' && printf x >&3; } | docker exec -i -u "
              "postgres -e PGPASSWORD \"$TARGET\" psql -U 'o'\\''brien' >&2; } 3>&1)",
              "[ \"$ends\" = x ] || { echo 'db 1.sql.gz could not be read to its end' >&2; exit 1; "
              "}"});
  feed.rewrite = roles;
  CHECK(
      printed(feed_program(feed), "db.sql").lines ==
      Lines{"ends=$({ { { cat -- db.sql && printf x >&3; } | sed '1,/^\\\\connect /s/^CREATE ROLE "
            "\\(.*\\);$/<\\1|\\1>/' && printf x >&3; } | docker exec -i -u postgres -e PGPASSWORD "
            "\"$TARGET\" psql -U 'o'\\''brien' >&2; } 3>&1)",
            "[ \"$ends\" = xx ] || { echo 'db.sql could not be read to its end' >&2; exit 1; }"});
}

TEST_CASE("restore steps: what unpacks an artifact") {
  CHECK(unpack("k.tar.gz") == "gunzip -c -- k.tar.gz");
  CHECK(unpack("k.tar.zst") == "zstd -dc -- k.tar.zst");
  CHECK(unpack("-k 1.tar") == "cat -- '-k 1.tar'");
}

TEST_CASE(
    "restore steps: a dump is restored with the container's own secret, and the result is judged") {
  test::RecordingTarget target;
  wire::ExecConfig exec;
  exec.argv = {"psql"};
  exec.env = {{"PGPASSWORD", ""}, {"OTHER", "kept"}, {"MISSING", "x"}};
  target.result.exit_code = 3;
  std::int64_t judged = 0;
  const Feed feed{{exec, {{"PGPASSWORD", {"KNOWN"}}, {"MISSING", {"UNKNOWN"}}}},
                  {},
                  [&](const FeedResult& result) { judged = result.exit_code; }};
  feed_program(feed)->carry_out(target);
  CHECK(judged == 3);
  CHECK(target.asked == Lines{"feed"});
  CHECK(target.program_run.env[0].value == "hunter2");
  CHECK(target.program_run.env[1].value == "kept");
  CHECK(target.program_run.env[2].value == "");
  Feed filtered = feed;
  filtered.rewrite = roles;
  feed_program(filtered)->carry_out(target);
  CHECK(target.asked.back() == "feed, filtered");
}

TEST_CASE("restore steps: a script that fails is an error with the program's output") {
  const StepPtr step = run_script({{{.argv = {"psql"}}}, "rename", {}, "renaming what is there"});
  test::RecordingTarget target;
  step->carry_out(target);
  CHECK(target.asked == Lines{"feed text: rename"});
  const auto error = [&] {
    return pipe::test::error_of([&] { step->carry_out(target); }, ErrorKind::capture);
  };
  target.result.exit_code = 2;
  target.result.err = "no such role\n";
  CHECK(error() == "renaming what is there: psql ended with exit code 2: no such role");
  target.result.exit_code = 0;
  target.result.took_everything = false;
  CHECK_FALSE(error().empty());
}

TEST_CASE(
    "restore steps: a script's input reaches the program as it is, its undo only once begun") {
  const std::string input = "rename $HOME `id` " + hostile;
  const ShellScript script =
      printed(run_script({{{.argv = {"psql"}}}, input, "rename back", "renaming"}));
  REQUIRE(script.lines.size() == 2);
  const std::string docker = "TARGET=t; docker() { cat; }\n";
  CHECK(said_by_shell(docker + script.lines[1] + "\n") == input + "\n");
  REQUIRE(script.undo.size() == 1);
  CHECK(said_by_shell(docker + script.undo[0] + "\n") == "");
  CHECK(said_by_shell(docker + script.lines[0] + "\n" + script.undo[0] + "\n") == "rename back\n");
}

TEST_CASE("restore steps: a required variable is checked before anything else") {
  const ShellScript script = printed(require_variable("VAULT_TOKEN", "it's a token"));
  REQUIRE(script.conditions.size() == 1);
  CHECK(script.lines.empty());
  const pipe::test::Ran missing = pipe::test::run("unset VAULT_TOKEN; " + script.conditions[0]);
  CHECK(missing.status == 2);
  CHECK(missing.errors == "set VAULT_TOKEN in your environment: it's a token\n");
  CHECK(pipe::test::run("VAULT_TOKEN=x; " + script.conditions[0]).status == 0);
}

TEST_CASE("restore steps: a server is started, and asked until it answers") {
  const ShellScript script = printed(start_server({.argv = {"pg_isready"}}));
  REQUIRE(script.lines.size() == 2);
  const std::string docker =
      "set -eu\nTARGET=t\ndocker() { echo \"$*\" >>calls; [ \"$1\" = start ] || [ -e up ]; "
      "}\nsleep() { : >up; }\ncd \"$(mktemp -d)\"\n";
  CHECK(said_by_shell(docker + script.lines[0] + "\n" + script.lines[1] + "\ncat calls") ==
        "start t\nexec t pg_isready\nexec t pg_isready\n");
  test::RecordingTarget target;
  start_server({.argv = {"pg_isready"}})->carry_out(target);
  CHECK(target.asked == Lines{"start"});
}

TEST_CASE("restore steps: where a tree is put in a target") {
  test::RecordingTarget target;
  replace_tree({"/a b/c", false, {}})->carry_out(target);
  replace_host_tree({"/opt/agaria", false, {}})->carry_out(target);
  CHECK(target.asked == Lines{"put /a b/c", "put /bba-drill/agaria"});
}

TEST_CASE("restore steps: hostile paths stay one word of the shell") {
  const std::string path = "/srv/" + hostile;
  const ShellScript script = printed(replace_tree({path, false, {}}), "k.tar");
  const std::string place = "place_of() { printf '%s' \"$1\"; }\n" + script.conditions.at(0) +
                            "\nprintf '%s' \"$place_2\"";
  CHECK(said_by_shell(place) == path);
  CHECK(script.places == Lines{"\"$place_2\""});
  for (const std::string& line : script.lines) {
    CAPTURE(line);
    CHECK(pipe::test::run("sh -n", line).status == 0);
  }
}
