#include "restore/feed_exec.hpp"

#include <doctest/doctest.h>

#include "fake_engine.hpp"
#include "unit/session.hpp"

namespace bba::restore {
namespace {

using namespace test;
using bba::test::answer;
using bba::test::FakeEngine;
using bba::test::frame;
using bba::test::send;

struct FakeProgram {
  explicit FakeProgram(const std::string& said, const std::string& status) {
    fake.on("POST /containers/scratch/exec", {send(answer(201, R"({"Id":"e1"})"))});
    fake.on("POST /exec/e1/start", {send(bba::test::upgraded_header + said)});
    fake.on("GET /exec/e1/json", {send(answer(200, status))});
  }

  service::FeedResult feed_it(std::size_t most = 1000) {
    docker::Limits limits;
    limits.silence = std::chrono::seconds(5);
    docker::Engine engine(fake.socket_path(), limits, nullptr);
    return feed_exec(
        engine, "scratch", {.argv = {"psql"}}, [] { return std::optional<Chunk>(); }, most);
  }

  FakeEngine fake;
};

}  // namespace

TEST_CASE("a program that was given input returns its output and exit code") {
  FakeProgram program(frame(1, "one\n") + frame(2, "oops") + frame(1, "two\n"),
                      R"({"Running":false,"ExitCode":3})");
  const service::FeedResult result = program.feed_it();
  CHECK(result.out == "one\ntwo\n");
  CHECK(result.err == "oops");
  CHECK(result.exit_code == 3);
  CHECK(result.took_everything);
  CHECK(contains(program.fake.last("POST /containers/scratch/exec").body, R"("AttachStdin":true)"));
}

TEST_CASE("a program with too much output, or whose output is cut off, is an error") {
  const std::string good = R"({"Running":false,"ExitCode":0})";
  FakeProgram loud(frame(1, std::string(2000, 'x')), good);
  CHECK(thrown_by([&] { loud.feed_it(); }).kind == ErrorKind::capture);
  FakeProgram cut(frame(1, "whole").substr(0, 10), good);
  CHECK(thrown_by([&] { cut.feed_it(); }).kind == ErrorKind::capture);
}

}  // namespace bba::restore
