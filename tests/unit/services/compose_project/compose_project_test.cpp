// Class G: the compose project's directory with the mounted data, and what is left out of it.
#include "services/compose_project/compose_project.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/service/mounts.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::service;
using services::compose_project::leave_out_neighbours;
using services::compose_project::project_archive;
using test::bind_mount;
using test::summary;
using test::taken;
using test::volume;
using Names = std::vector<std::string>;

namespace {

const std::vector<MountChoice> mounts{taken(volume("v", "/data"))};

}  // namespace

TEST_CASE("archive: class G takes the compose project's directory first") {
  Target target = test::target("agaria-redis", 'G');
  target.container.labels["com.docker.compose.project.working_dir"] = "/opt/agaria/";
  const std::vector<MountChoice> choices{taken(bind_mount("/opt/agaria/data", "/data")),
                                         taken(volume("v", "/compose"))};
  const Capture capture = project_archive(target, choices, {}, Consistency::automatic);
  REQUIRE(capture.parts.size() == 3);
  CHECK(capture.parts[0].name == "compose");
  const auto& project = std::get<HostDirectory>(capture.parts[0].what);
  CHECK(project.path == "/opt/agaria");
  CHECK(project.excludes == Names{"/opt/agaria/data"});
  CHECK(capture.parts[1].name == "data");
  CHECK(capture.parts[2].name == "compose-2");
  REQUIRE(capture.follow_ups.size() == 1);
  CHECK(capture.follow_ups[0].find("follow-up required") == 0);
}

TEST_CASE("archive: class G leaves out of its directory only what is archived elsewhere") {
  Target target = test::target("agaria-redis", 'G');
  target.settings.compose_root = "/opt/agaria";
  target.settings.paths = {"/data/sub", "/config"};
  target.settings.excludes = {"*/cache"};
  std::vector<MountChoice> choices{taken(bind_mount("/opt/agaria/data", "/data")),
                                   taken(bind_mount("/opt/agaria/files", "/files")),
                                   taken(volume("c", "/config"))};
  narrow_to_paths(target.settings.paths, choices, "paths are archived instead");
  const Capture capture = project_archive(target, choices, {}, Consistency::automatic);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).excludes ==
        Names{"*/cache", "/opt/agaria/data/sub"});
}

TEST_CASE("archive: class G leaves out what other running containers write, and names it") {
  Target target = test::target("agaria-app", 'G');
  target.settings.compose_root = "/opt/agaria";
  const std::vector<MountChoice> choices{taken(bind_mount("/opt/agaria/data", "/data"))};
  const std::vector<wire::ContainerSummary> others{
      summary("agaria-app",
              {bind_mount("/opt/agaria/data", "/data"), bind_mount("/opt/agaria/logs", "/logs")}),
      summary("db", {bind_mount("/opt/agaria/db", "/db")}),
      summary("worker", {bind_mount("/opt/agaria/data/inner", "/x")}),
      summary("reader", {bind_mount("/opt/agaria/conf", "/x", false)}),
      summary("backup", {bind_mount("/opt", "/opt"), bind_mount("/opt/agaria", "/x")}),
      summary("elsewhere", {bind_mount("/opt/agaria2/db", "/x"), volume("v", "/v")}),
      summary("gone", {bind_mount("/opt/agaria/old", "/x")}, "exited")};
  Capture capture = project_archive(target, choices, others, Consistency::automatic);
  leave_out_neighbours(capture, others);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).excludes ==
        Names{"/opt/agaria/data", "/opt/agaria/db"});
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0] ==
        "/opt/agaria/db is not in the compose project's archive: db writes there, and is to be "
        "backed up as a module of its own");
}

TEST_CASE("archive: a single mount beside the compose directory is named, too") {
  Target target = test::target("agaria-redis", 'G');
  target.settings.compose_root = "/srv/agaria";
  target.container.labels["com.docker.compose.project.working_dir"] = "/opt/agaria";
  const Capture capture = project_archive(target, mounts, {}, Consistency::automatic);
  REQUIRE(capture.parts.size() == 2);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).path == "/srv/agaria");
  CHECK(capture.parts[1].name == "data");
}

TEST_CASE("archive: class G without data, and without a directory, is an error") {
  Target target = test::target("agaria-redis", 'G');
  CHECK_THROWS_AS(project_archive(target, mounts, {}, Consistency::automatic), Error);
  target.settings.compose_root = "relative";
  CHECK_THROWS_AS(project_archive(target, mounts, {}, Consistency::automatic), Error);
  target.settings.compose_root = "/srv/agaria";
  const Capture capture = project_archive(target, {}, {}, Consistency::automatic);
  CHECK(capture.parts.size() == 1);
  CHECK(capture.quiesce.empty());
  CHECK(capture.warnings == Names{"the container has no mount that holds data"});
}
