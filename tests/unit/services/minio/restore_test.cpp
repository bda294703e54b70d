// The commands that put objects back: what they ask before anything is touched, what they compare
// at the end, and no secret in them.
#include "services/minio/restore.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/tar.hpp"
#include "services/minio/client.hpp"
#include "services/minio/minio.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::minio;
using Lines = std::vector<std::string>;

namespace {

store::ArtifactRecord record_of(std::uint64_t objects) {
  store::ArtifactRecord record;
  record.file = "minio-20240301T120000Z.tar.gz";
  record.kind = "objects";
  record.source = "objects of local";
  record.sha256 = std::string(64, 'a');
  record.found = {{"objects", objects}};
  return record;
}

store::Manifest manifest_of(const Json& facts) {
  store::Manifest manifest;
  manifest.facts = facts;
  return manifest;
}

service::ShellScript script_of(const Json& facts, std::uint64_t objects = 2) {
  const store::ArtifactRecord record = record_of(objects);
  service::ShellScript script;
  for (const auto& step : restore_objects(manifest_of(facts), record).steps) {
    step->print(script, record, 1);
  }
  return script;
}

const Json lent{{"alias", "local"}, {"mc_environment", {"MC_HOST_local", "MC_REGION"}}};

}  // namespace

TEST_CASE("minio: a restore first checks the credentials and whether mc knows the alias") {
  const service::ShellScript script = script_of(lent);
  REQUIRE(script.conditions.size() == 3);
  CHECK(script.conditions[0] ==
        "[ -n \"${MC_HOST_local-}\" ] || { echo 'set MC_HOST_local in your environment: "
        "http://KEY:SECRET@127.0.0.1:9000 of the target' >&2; exit 2; }");
  // The answer holds the secret key.
  CHECK(script.conditions[1].starts_with(
      "docker exec -e MC_HOST_local -e MC_REGION \"$TARGET\" mc --quiet alias list --json local "
      ">/dev/null || { echo \"the mc in $TARGET does not know the alias local"));
  CHECK(script.conditions[1].ends_with("exit 1; }"));
  CHECK(script.conditions[2].find("/tmp/objects") != std::string::npos);
}

TEST_CASE("minio: a restore copies the objects in, puts them back and removes the copy") {
  const service::ShellScript script = script_of(lent);
  REQUIRE(script.lines.size() == 4);
  CHECK(script.lines[0] ==
        "gunzip -c -- minio-20240301T120000Z.tar.gz | docker cp - \"$TARGET\":/tmp");
  CHECK(script.lines[1].starts_with(
      "docker exec -e MC_HOST_local -e MC_REGION \"$TARGET\" sh -c 'set -e; ls /tmp/objects "));
  CHECK(script.lines[1].find("mc --quiet mb --ignore-existing \"local/$b\"") != std::string::npos);
  CHECK(script.lines[1].find("mc --quiet cp --recursive \"/tmp/objects/$b/\" \"local/$b/\"") !=
        std::string::npos);
  const std::string clean_up = "docker exec -u 0 \"$TARGET\" rm -rf /tmp/objects";
  CHECK(script.finish == Lines{clean_up});
  REQUIRE(script.undo.size() == 1);
  CHECK(script.undo[0].ends_with(clean_up));
}

TEST_CASE("minio: where the container's own mc knew the alias, no credentials are asked for") {
  const service::ShellScript script =
      script_of({{"alias", "local"}, {"mc_environment", Json::array()}});
  REQUIRE(script.conditions.size() == 2);
  CHECK(script.conditions[0].starts_with(
      "docker exec \"$TARGET\" mc --quiet alias list --json local >/dev/null || "));
}

TEST_CASE("minio: in a manifest older than the alias fact, the alias is read from the source") {
  const service::ShellScript script = script_of(Json::object());
  REQUIRE(script.conditions.size() == 2);
  CHECK(script.conditions[0].starts_with(
      "docker exec -e MC_HOST_local \"$TARGET\" mc --quiet alias list --json local >/dev/null "
      "|| "));

  for (const char* source : {"", "/data", "objects of ", "objects of a b", "objects of --json"}) {
    CAPTURE(source);
    store::ArtifactRecord record = record_of(0);
    record.source = source;
    CHECK_THROWS_AS(restore_objects(manifest_of(Json::object()), record), Error);
  }
}

TEST_CASE("minio: the printed commands of a capture name their variables, and hold no secret") {
  const service::Target target = test::target("minio", 'D');
  const service::Capture capture =
      objects_capture(target, client(target, "local", {}, "root", "hunter2"), "local");
  const store::ArtifactRecord record = record_of(3);
  const auto commands = service::shell_commands(
      "minio", {record}, {restore_objects(manifest_of(capture.facts), record)});
  REQUIRE(commands.size() == 1);
  const std::string script = join(commands[0], "\n");
  CHECK(script.find("-e MC_HOST_local ") != std::string::npos);
  CHECK(script.find("hunter2") == std::string::npos);
  CHECK(script.find("root") == std::string::npos);
  // It is asked before anything is changed.
  CHECK(script.find("alias list") < script.find("docker cp"));
}

// --- the comparison at the end, run by a shell as it is printed

namespace {

struct Object {
  std::string key;
  std::string content;
};

class Place {
 public:
  Place() {
    std::string name = (std::filesystem::temp_directory_path() / "bba-restore-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Place() { std::filesystem::remove_all(path_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

class Collector : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override { text += chunk.text(); }
  void finish() override {}
  std::string text;
};

std::string tar_of(const std::vector<Object>& objects) {
  Collector out;
  pipe::TarWriter tar(out);
  const auto add = [&](const std::string& path, pipe::TarType type, const std::string& content) {
    pipe::TarEntry entry;
    entry.path = path;
    entry.type = type;
    entry.size = content.size();
    entry.mode = 0644;
    tar.begin(entry);
    if (!content.empty()) tar.data(as_bytes(content));
    tar.end();
  };
  add("objects", pipe::TarType::directory, "");
  add("objects/odd", pipe::TarType::directory, "");
  for (const Object& one : objects) add("objects/" + one.key, pipe::TarType::file, one.content);
  tar.finish();
  return out.text;
}

// As mc prints it, with the escapes of JSON and those that Go's writer adds.
std::string listing_of(const std::vector<Object>& objects) {
  std::string listing;
  for (const Object& one : objects) {
    std::string key = Json(one.key).dump();
    for (const auto& [from, to] : {std::pair{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}}) {
      for (std::size_t at = 0; (at = key.find(from, at)) != key.npos;) key.replace(at, 1, to);
    }
    listing += fmt::format(
        "{{\"status\":\"success\",\"type\":\"file\",\"size\":{},\"key\":{},"
        "\"etag\":\"x\",\"url\":\"http://127.0.0.1:9000/\"}}\n",
        one.content.size(), key);
  }
  return listing + "{\"totalObjects\":1,\"totalSize\":1}\n";
}

// What the last lines print where the target lists these; empty where nothing is missing.
std::string complaint(const std::vector<Object>& archived, const std::vector<Object>& listed,
                      std::uint64_t objects) {
  const Place place;
  place.write("objects.tar", tar_of(archived));
  place.write("listing", listing_of(listed));
  const service::ShellScript script = script_of(lent, objects);
  place.write("script", "cd " + place.path() +
                            "\ngunzip() { cat objects.tar; }\ndocker() { cat listing; }\n"
                            "TARGET=minio\nset -eu\n" +
                            script.lines[2] + "\n" + script.lines[3] + "\n");
  const std::string command = "sh " + place.path() + "/script >" + place.path() + "/out 2>&1";
  const int ended = std::system(command.c_str());  // NOLINT
  std::string out = place.read("out");
  CHECK((ended == 0) == out.empty());
  return out;
}

}  // namespace

TEST_CASE("minio: the comparison at a restore's end finds what is missing or of another size") {
  const std::vector<Object> odd{{"odd/plain", "12345"},
                                {"odd/two\nlines", "1"},
                                {"odd/a 'quoted' \"key\"", "22"},
                                {"odd/$HOME/`id`", "333"},
                                {"odd/ünï/☃", "4444"},
                                {"odd/-r", ""},
                                {"odd/back\\slash\\n\\303\\\\u00e9", "55555"},
                                {"odd/<tag>&\x01\x7f\t", "666666"},
                                {"odd/\"size\":9,\"key\":\"x\"", "7"},
                                {"odd/ -> elsewhere", "88"},
                                {"odd/line\u2028separator", "999"}};
  CHECK(complaint(odd, odd, odd.size()) == "");
  std::vector<Object> more = odd;
  more.push_back({"other/one", "x"});
  CHECK(complaint(odd, more, odd.size()) == "");
  CHECK(complaint({}, {}, 0) == "");

  for (std::size_t i = 0; i < odd.size(); ++i) {
    CAPTURE(odd[i].key);
    std::vector<Object> fewer = odd;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(complaint(odd, fewer, odd.size())
              .starts_with("minio does not list what it should have got (SIZE/BUCKET/KEY):\n" +
                           std::to_string(odd[i].content.size()) + "/odd/"));
    std::vector<Object> shorter = odd;
    shorter[i].content += "x";
    CHECK_FALSE(complaint(odd, shorter, odd.size()).empty());
  }
  // Two keys that differ only in what is folded are two keys.
  CHECK(complaint({{"odd/ä", "1"}, {"odd/ö", "1"}}, {{"odd/ä", "1"}}, 2) ==
        "minio does not list what it should have got (SIZE/BUCKET/KEY):\n1/odd/?\n");
  CHECK(complaint(odd, odd, odd.size() + 1).find("the artifact could not be read") !=
        std::string::npos);
}
