// A set's restores as one script: its order, and that what it does can be undone.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/service/restore_steps.hpp"
#include "unit/sets.hpp"

using namespace bba;
using namespace bba::service;
using Lines = std::vector<std::string>;

namespace {

// Prints a line of each kind that names it.
class Named : public RestoreStep {
 public:
  explicit Named(bool stops) : stops_(stops) {}
  void print(ShellScript& script, const store::ArtifactRecord&, std::size_t number) const override {
    const std::string n = std::to_string(number);
    script.conditions.push_back("echo condition " + n);
    script.lines.push_back("echo line " + n);
    script.undo.push_back("echo undo " + n);
    script.finish.push_back("echo finish " + n);
    if (stops_) script.places.push_back("/place" + n);
  }
  void carry_out(RestoreTarget&) const override {}

 private:
  bool stops_;
};

class Fails : public RestoreStep {
 public:
  void print(ShellScript& script, const store::ArtifactRecord&, std::size_t) const override {
    script.lines.emplace_back("false");
  }
  void carry_out(RestoreTarget&) const override {}
};

// A directory with an artifact, a place to restore to, and a `docker` that knows one container.
struct ScriptFixture {
  ScriptFixture() {
    std::filesystem::create_directories(dir / "bin");
    std::filesystem::create_directories(dir / "srv/data/old");
    test::write_file(dir / "srv/data/old/file", "what was there");
    test::write_file(dir / "srv/data/kept.log", "a log");
    // `docker cp` extracts beside the place, as the engine would.
    test::write_file(dir / "bin/docker",
                     "#!/bin/sh\necho \"docker $1\" >>" + (dir / "calls") +
                         "\ncase \"$1\" in\n"
                         "inspect) case \"$3\" in *Destination*) printf '/data\\n%s\\n' " +
                         (dir / "srv/data") + ";; *.RW*) echo true " + (dir / "srv/data") +
                         ";; *) echo c0ffee;; esac;;\n"
                         "ps) echo c0ffee;;\n"
                         "cp) tar -x -f - -C " +
                         (dir / "srv") +
                         ";;\n"
                         "esac\n");
    std::filesystem::permissions(dir / "bin/docker", std::filesystem::perms::owner_all);
  }

  void put_artifact(const std::string& tar) {
    test::write_file(dir / "k.tar", tar);
    record.file = "k.tar";
    record.sha256 = test::sha256_of(tar);
  }
  pipe::test::Ran run(std::vector<StepPtr> steps) {
    const auto commands = shell_commands("kuma", {record}, {{std::move(steps)}});
    test::write_file(dir / "script", join(commands.at(0), "\n") + "\n");
    return pipe::test::run("cd " + dir.path() + " && PATH=" + (dir / "bin") + ":$PATH sh script");
  }
  Lines files() const {
    Lines names;
    for (const auto& one : std::filesystem::recursive_directory_iterator(dir / "srv")) {
      names.push_back(std::filesystem::relative(one.path(), dir / "srv").string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  pipe::test::TempDir dir;
  store::ArtifactRecord record;
};

std::string new_tree() {
  return test::tar_of({{test::tar_entry("data", pipe::TarType::directory), ""},
                       {test::tar_entry("data/app.db"), "what came"}});
}
// The owners are root's, as on disk, so that tar finds no difference.
const bool is_root = ::geteuid() == 0;

}  // namespace

TEST_CASE("shell commands: checksums, conditions, stop, lines, finish; undo in reverse") {
  std::vector<store::ArtifactRecord> records(2);
  records[0].file = "one's.tar";
  records[1].file = "two.tar";
  const auto commands = shell_commands(
      "ku'ma", records, {{{std::make_shared<Named>(true)}}, {{std::make_shared<Named>(false)}}});
  REQUIRE(commands.size() == 2);
  const std::string first = join(commands[0], "\n"), second = join(commands[1], "\n");
  CHECK(commands[0].front() == "set -eu; export LC_ALL=C");
  CHECK(commands[0][1] == "TARGET=${TARGET:-'ku'\\''ma'}");
  std::size_t at = 0;
  for (const std::string text :
       {"'one'\\''s.tar' | sha256sum --check", "two.tar | sha256sum --check", "echo condition 1",
        "echo condition 2", "undo() { undo_2 && undo_1; }", "trap on_exit EXIT",
        "docker stop $stopped", "echo line 1"}) {
    CAPTURE(text);
    const std::size_t found = first.find(text, at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK(commands[1] == Lines{"echo line 2", "restored=yes", "echo finish 1", "echo finish 2"});
  CHECK(first.find("echo finish") == std::string::npos);
  CHECK(second.find("docker stop") == std::string::npos);
  CHECK(pipe::test::run("sh -n", first + "\n" + second).status == 0);
}

TEST_CASE("shell commands: where one fails, the finished ones are undone, last first") {
  ScriptFixture fixture;
  fixture.put_artifact(new_tree());
  const auto step = std::make_shared<Named>(false);
  const pipe::test::Ran ran = fixture.run({step, step, std::make_shared<Fails>(), step});
  CHECK(ran.status == 1);
  CHECK(ran.output ==
        "condition 1\ncondition 1\ncondition 1\nline 1\nline 1\nundo 1\nundo 1\nundo 1\n");
}

TEST_CASE("shell commands: a damaged artifact ends the script before anything is changed") {
  ScriptFixture fixture;
  fixture.put_artifact(new_tree());
  const Lines before = fixture.files();
  test::write_file(fixture.dir / "k.tar", new_tree() + "x");
  CHECK(fixture.run({replace_tree({"/data", false, {}})}).status != 0);
  CHECK(fixture.files() == before);
  CHECK_FALSE(std::filesystem::exists(fixture.dir / "calls"));
}

TEST_CASE("shell commands: a tree is replaced, and what the set leaves out is kept") {
  if (!is_root) return;
  ScriptFixture fixture;
  fixture.put_artifact(new_tree());
  SUBCASE("as a whole") {
    const pipe::test::Ran ran = fixture.run({replace_tree({"/data", false, {}})});
    CAPTURE(ran.errors);
    CHECK(ran.status == 0);
    CHECK(fixture.files() == Lines{"data", "data/app.db"});
  }
  SUBCASE("except for what it leaves out") {
    const pipe::test::Ran ran = fixture.run({replace_tree({"/data", false, {"/data/*.log"}})});
    CAPTURE(ran.errors);
    CHECK(ran.status == 0);
    CHECK(fixture.files() == Lines{"data", "data/app.db", "data/kept.log", "data/old"});
  }
  CHECK(test::read_file(fixture.dir / "srv/data/app.db") == "what came");
  const std::string calls = test::read_file(fixture.dir / "calls");
  CHECK(calls.find("docker stop") < calls.find("docker cp"));
  CHECK(calls.find("docker cp") < calls.find("docker start"));
}

TEST_CASE("shell commands: a failed restore puts back what was there") {
  if (!is_root) return;
  ScriptFixture fixture;
  fixture.put_artifact(new_tree());
  const Lines before = fixture.files();
  Lines left_out;
  SUBCASE("of a whole tree") {}
  SUBCASE("of one that leaves something out") {
    left_out = {"/data/*.log"};
  }
  const pipe::test::Ran ran =
      fixture.run({replace_tree({"/data", false, left_out}), std::make_shared<Fails>()});
  CAPTURE(ran.errors);
  CHECK(ran.status == 1);
  CHECK(fixture.files() == before);
  CHECK(test::read_file(fixture.dir / "srv/data/old/file") == "what was there");
  CHECK(test::read_file(fixture.dir / "srv/data/kept.log") == "a log");
  CHECK(ran.errors.find("putting back") != std::string::npos);
  CHECK(test::read_file(fixture.dir / "calls").find("docker start") != std::string::npos);
}
