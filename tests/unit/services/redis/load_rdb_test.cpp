// An RDB without an append-only file, put back into a server that keeps one.
#include "services/redis/load_rdb.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"

using namespace bba;
using namespace bba::services::redis;
using Names = std::vector<std::string>;

namespace {

store::ArtifactRecord directory(const Json& found, const std::string& path = "/data") {
  store::ArtifactRecord record;
  record.source = path;
  record.found = found;
  return record;
}

store::Manifest manifest_of(std::vector<store::ArtifactRecord> records,
                            Json facts = Json::object()) {
  store::Manifest manifest;
  manifest.artifacts = std::move(records);
  manifest.facts = std::move(facts);
  return manifest;
}

const Json rdb_alone{{"rdb_file", "dump.rdb"}, {"aof_files", 0u}};

service::ShellScript printed(const Json& facts, const Json& found = rdb_alone) {
  const store::Manifest manifest = manifest_of({directory(found)}, facts);
  service::ShellScript script;
  const service::StepPtr step = load_rdb(manifest, manifest.artifacts.front());
  REQUIRE(step);
  step->print(script, manifest.artifacts.front(), 1);
  return script;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

// Runs the step's commands in a shell, with the shell script `docker` in place of docker.
struct Run {
  int status = 0;
  std::string out;
  std::string copy;  // the file that was created beside the RDB
};

Run run(const std::string& docker, const std::string& file, const std::string& before = {}) {
  char name[] = "/tmp/bba-load-rdb-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::filesystem::path place(name);
  std::ofstream(place / "dump.rdb") << "the RDB";
  const service::ShellScript script = printed({{"cli", {"redis-cli"}}});
  std::ofstream(place / "script") << "set -eu\nTARGET=redis\nplace_1=" << name
                                  << "\nsleep() { :; }\n"
                                  << "docker() {\n"
                                  << docker << "\n}\n"
                                  << before << '\n'
                                  << join(script.conditions, "\n") << '\n'
                                  << join(script.lines, "\n") << '\n';
  Run run;
  FILE* pipe = ::popen(("sh " + (place / "script").string() + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> text{};
  while (const std::size_t size = std::fread(text.data(), 1, text.size(), pipe)) {
    run.out.append(text.data(), size);
  }
  run.status = ::pclose(pipe);
  std::ifstream copy(place / file);
  std::getline(copy, run.copy);
  std::filesystem::remove_all(place);
  return run;
}

}  // namespace

TEST_CASE("redis: an RDB becomes the append-only file only where the archive holds none") {
  const auto step = [](std::vector<store::ArtifactRecord> records) {
    const store::Manifest manifest = manifest_of(std::move(records));
    return load_rdb(manifest, manifest.artifacts.front());
  };
  CHECK(step({directory(rdb_alone)}));
  CHECK_FALSE(step({directory({{"rdb_file", "dump.rdb"}, {"aof_files", 2u}})}));
  CHECK_FALSE(step({directory(Json::object({{"aof_files", 0u}}))}));
  // A set of an earlier version does not say.
  CHECK_FALSE(step({directory(Json::object({{"rdb_file", "dump.rdb"}}))}));
}

TEST_CASE("redis: an append-only file in an artifact of its own is the one that counts") {
  const store::Manifest manifest = manifest_of(
      {directory(rdb_alone), directory(Json::object({{"aof_files", 2u}}), "/data/appendonlydir")});
  service::ShellScript script;
  load_rdb(manifest, manifest.artifacts.front())->print(script, manifest.artifacts.front(), 1);
  CHECK(script.conditions.empty());
  CHECK(script.lines.empty());
}

TEST_CASE("redis: the target is asked with the backup's client, and the password's variable") {
  const service::ShellScript script =
      printed({{"cli", {"valkey-cli", "-p", "7000"}}, {"environment", {"REDISCLI_AUTH"}}});
  REQUIRE(script.conditions.size() == 1);
  const std::string ask = "docker exec -e REDISCLI_AUTH \"$TARGET\" valkey-cli -p 7000 CONFIG GET ";
  CHECK(has(script.conditions[0], "docker start \"$TARGET\""));
  CHECK(has(script.conditions[0], ask + "appendonly "));
  CHECK(has(script.conditions[0], ask + "appendfilename "));
  REQUIRE(script.lines.size() == 1);
  CHECK(has(script.lines[0], "cp -p \"$place_1\"/dump.rdb \"$place_1/$APPENDFILE\";"));
  // In a directory on no mount only the engine can write it.
  CHECK(has(script.lines[0], "docker cp -a \"$TARGET\":/data/dump.rdb \".bba-$STAMP.rdb\""));
  CHECK(has(printed({{"cli", {"redis-cli"}}, {"environment", Json::array()}}).conditions[0],
            "docker exec \"$TARGET\" redis-cli CONFIG GET appendonly "));
  // The backup could not ask, so it is not known whether a password is needed.
  CHECK(has(printed(Json::object()).conditions[0],
            "docker exec -e REDISCLI_AUTH \"$TARGET\" redis-cli CONFIG GET appendonly "));
  CHECK(has(printed(Json::object(), {{"rdb_file", "a b.rdb"}, {"aof_files", 0u}}).lines.at(0),
            "cp -p \"$place_1\"/'a b.rdb' \"$place_1/$APPENDFILE\";"));
}

TEST_CASE("redis: the target's answer decides whether a copy is made, and under which name") {
  const std::string no = "case \"$*\" in *appendonly) printf 'appendonly\\nno\\n' ;; esac";
  const Run without = run(no, "appendonly.aof");
  CHECK(without.status == 0);
  CHECK(without.copy.empty());
  const std::string yes =
      "case \"$*\" in *appendonly) printf 'appendonly\\nyes\\n' ;; *appendfilename) printf "
      "'appendfilename\\nmy own.aof\\n' ;; esac";
  const Run with = run(yes, "my own.aof");
  CHECK(with.out == "");
  CHECK(with.status == 0);
  CHECK(with.copy == "the RDB");
}

TEST_CASE("redis: a target that gives no answer ends the script, unless the operator decides") {
  const std::string refuses = "case $1 in exec) echo NOAUTH Authentication required. ;; esac";
  const Run refused = run(refuses, "appendonly.aof");
  CHECK(refused.status != 0);
  CHECK(has(refused.out, "does not say whether it keeps an append-only file (NOAUTH "));
  CHECK(has(refused.out, "set APPENDFILE"));
  CHECK(refused.copy.empty());
  const Run silent = run("[ $1 = start ]", "appendonly.aof");
  CHECK(silent.status != 0);
  CHECK(has(silent.out, "it does not answer"));
  const Run down = run("return 1", "appendonly.aof");
  CHECK(down.status != 0);
  CHECK(has(down.out, "it does not start"));
  const Run told = run("return 1", "appendonly.aof", "APPENDFILE=appendonly.aof");
  CHECK(told.status == 0);
  CHECK(told.copy == "the RDB");
  CHECK(run("return 1", "appendonly.aof", "APPENDFILE=").status == 0);
}
