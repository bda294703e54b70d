#include "bba/restore/feed_exec.hpp"

#include <doctest/doctest.h>

#include "fake_engine.hpp"
#include "unit/commands/sets.hpp"

namespace bba::restore {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::frame;
using bba::test::send;

std::string without_role(const std::string& role, const std::string& dump, std::size_t step) {
  pipe::test::Collector collector;
  RoleFilter filter(role, collector);
  pipe::test::feed(filter, dump, step);
  CHECK(collector.finished);
  return collector.text;
}

}  // namespace

TEST_CASE("the one CREATE ROLE line is left out, at every split") {
  const std::string before = "--\n-- Roles\n--\n\nCREATE ROLE app;\nCREATE ROLE postgresx;\n";
  const std::string line = "CREATE ROLE postgres;\n";
  const std::string after =
      "ALTER ROLE postgres WITH SUPERUSER;\n\\connect app\n\nCREATE ROLE postgres;\n\nno end";
  const std::string dump = before + line + after;
  for (std::size_t split = 0; split <= dump.size(); ++split) {
    pipe::test::Collector collector;
    RoleFilter filter("postgres", collector);
    pipe::test::feed_split(filter, dump, split);
    REQUIRE(collector.text == before + after);
  }
  for (const std::size_t step : {1U, 2U, 3U}) {
    CHECK(without_role("postgres", dump, step) == before + after);
  }
}

TEST_CASE("roles that need quotes; dumps without the line, or with it behind the first connect") {
  CHECK(without_role("od\"d", "a\nCREATE ROLE \"od\"\"d\";\nb\n", 4) == "a\nb\n");
  CHECK(without_role("app", "CREATE ROLE \"app\";\nCREATE ROLE app;\n", 100) ==
        "CREATE ROLE app;\n");
  for (const std::string& dump : {std::string(), std::string("\n"), std::string("CREATE ROLE app"),
                                  std::string("\\connect x\nCREATE ROLE app;\n"),
                                  std::string("CREATE ROLE app WITH LOGIN;\n"),
                                  std::string(200'000, 'x') + "\nCREATE ROLE app;\n"}) {
    CHECK(without_role("app", dump, 1000) == dump);
  }
}

namespace {

struct FakeProgram {
  explicit FakeProgram(const std::string& said, const std::string& status) {
    fake.on("POST /containers/scratch/exec", {send(answer(201, R"({"Id":"e1"})"))});
    fake.on("POST /exec/e1/start", {send(bba::test::upgraded_header + said)});
    fake.on("GET /exec/e1/json", {send(answer(200, status))});
  }

  Fed feed_it(std::size_t most = 1000) {
    docker::Limits limits;
    limits.silence = std::chrono::seconds(5);
    docker::Engine engine(fake.socket_path(), limits, nullptr);
    return feed(
        engine, "scratch", {.argv = {"psql"}}, [] { return std::optional<Chunk>(); }, most);
  }

  FakeEngine fake;
};

}  // namespace

TEST_CASE("what a fed program says, and how it ends") {
  FakeProgram program(frame(1, "one\n") + frame(2, "oops") + frame(1, "two\n"),
                      R"({"Running":false,"ExitCode":3})");
  const Fed fed = program.feed_it();
  CHECK(fed.out == "one\ntwo\n");
  CHECK(fed.err == "oops");
  CHECK(fed.exit_code == 3);
  CHECK(fed.took_everything);
  CHECK(contains(program.fake.last("POST /containers/scratch/exec").body, R"("AttachStdin":true)"));
}

TEST_CASE("a program that says too much, or is cut off") {
  const std::string good = R"({"Running":false,"ExitCode":0})";
  FakeProgram loud(frame(1, std::string(2000, 'x')), good);
  CHECK(thrown_by([&] { loud.feed_it(); }).kind == ErrorKind::capture);
  FakeProgram cut(frame(1, "whole").substr(0, 10), good);
  CHECK(thrown_by([&] { cut.feed_it(); }).kind == ErrorKind::capture);
}

}  // namespace bba::restore
