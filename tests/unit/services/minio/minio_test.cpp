// The service and its kind of artifact: what is counted in one, and what audit says without asking.
#include "services/minio/minio.hpp"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/pipe/tar.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::minio;

namespace {

// Every entry is a directory where it ends in a slash, and else a file that holds its own path.
Json found_in(const std::vector<std::string>& paths) {
  const auto check = objects_kind().content_check(Json::object());
  pipe::TarWriter tar(check->stage());
  for (const std::string& path : paths) {
    pipe::TarEntry entry;
    entry.path = path;
    const bool directory = path.ends_with('/');
    if (directory) {
      entry.path.pop_back();
      entry.type = pipe::TarType::directory;
    } else {
      entry.size = path.size();
    }
    tar.begin(entry);
    if (!directory) tar.data(as_bytes(path));
    tar.end();
  }
  tar.finish();
  check->stage().finish();
  return check->found();
}

std::vector<std::string> notes_of(const std::string& state,
                                  const std::map<std::string, std::string>& environment) {
  const service::Target target = test::target("minio", 'D');
  std::vector<std::string> notes;
  for (const auto& note : minio().readiness({target, state, environment}).notes) {
    CHECK(note.ready == service::Ready::partly);
    notes.push_back(note.text);
  }
  return notes;
}

}  // namespace

TEST_CASE("minio: objects and buckets are counted, and keys that end in a slash are neither") {
  const Json found = found_in({"objects/", "objects/a-one/", "objects/b-two/", "objects/a-one/x/",
                               "objects/a-one/x/y", "objects/a-one/z"});
  CHECK(found.at("objects") == 2);
  CHECK(found.at("buckets") == 2);
  CHECK(found.at("object_bytes") == 17 + 15);
  CHECK(found.at("directories") == 4);
  for (const std::string& key : objects_kind().required_found()) {
    CAPTURE(key);
    CHECK(found.contains(key));
  }
}

TEST_CASE("minio: a drill puts the objects beside the data, and gives a server its configuration") {
  const service::FreshTarget fresh = objects_kind().fresh_target({}, {}, {});
  CHECK(fresh.data_volumes);
  CHECK(fresh.lend_configuration);
  REQUIRE(fresh.volumes.size() == 1);
  CHECK(fresh.volumes[0].destination == "/bba-drill");
  CHECK(objects_kind().implies_directories());
}

TEST_CASE("minio: audit reports a server without asking it") {
  const std::string files = "no MINIO_MC_ALIAS in your environment: falls back to files";
  CHECK(notes_of("running", {{"MINIO_MC_ALIAS", "local"}}).empty());
  CHECK(notes_of("running", {}) == std::vector{files});
  CHECK(notes_of("running", {{"MINIO_MC_ALIAS", ""}}) == std::vector{files});
  CHECK(notes_of("exited", {{"MINIO_MC_ALIAS", "local"}}) ==
        std::vector<std::string>{"container is exited"});
}
