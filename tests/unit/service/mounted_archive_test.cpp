// Classes E, F and G: what is archived, who is held still, and what is said about it.
#include "bba/service/mounted_archive.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::service;
using test::bind_mount;
using test::names_of;
using test::summary;
using test::taken;
using test::volume;
using Names = std::vector<std::string>;

namespace {

const std::vector<MountChoice> mounts{taken(volume("v", "/data"))};
const std::vector<wire::ContainerSummary> all{summary("worker", {volume("v", "/data")}),
                                              summary("kuma", {volume("v", "/data")})};

}  // namespace

TEST_CASE("archive: everybody who writes is paused, the target first") {
  for (const Consistency wanted : {Consistency::automatic, Consistency::pause}) {
    const Capture capture = mounted_archive(test::target("kuma"), mounts, all, wanted);
    CHECK(capture.strategy == "mounted data archive");
    CHECK(capture.consistency == Consistency::pause);
    CHECK(names_of(capture.quiesce) == Names{"kuma", "worker"});
    CHECK(capture.parts.size() == 1);
    CHECK(capture.warnings.empty());
    CHECK(capture.follow_ups.empty());
    CHECK_FALSE(capture.fallback.has_value());
  }
  const Capture stopped = mounted_archive(test::target("kuma"), mounts, all, Consistency::stop);
  CHECK(stopped.consistency == Consistency::stop);
  CHECK(names_of(stopped.quiesce) == Names{"kuma", "worker"});
  CHECK(stopped.consistency_reason == "asked for");
}

TEST_CASE("archive: live holds nobody still, and warns where somebody could write") {
  const Capture live = mounted_archive(test::target("kuma"), mounts, all, Consistency::live);
  CHECK(live.consistency == Consistency::live);
  CHECK(live.quiesce.empty());
  REQUIRE(live.warnings.size() == 1);
  CHECK(live.warnings[0].find("taken live") == 0);
  const Capture quiet = mounted_archive(test::target("kuma"), mounts, {}, Consistency::live);
  CHECK(quiet.warnings.empty());
}

TEST_CASE("archive: a container without data is refused with a way out") {
  try {
    mounted_archive(test::target("kuma"), {test::left_out(volume("v", "/v"))}, all,
                    Consistency::automatic);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::container);
    CHECK(std::string(error.what()) == "container kuma has no mount that holds data");
    CHECK(error.hint().find("--path") != std::string::npos);
    CHECK(error.hint().find("modules.kuma.paths") != std::string::npos);
  }
  Target target = test::target("kuma");
  target.settings.paths = {"/opt/state"};
  CHECK(mounted_archive(target, {}, all, Consistency::automatic).parts.size() == 1);
}

TEST_CASE("archive: what is on no mount is not to be seen once its container is stopped") {
  Target target = test::target("kuma");
  target.settings.paths = {"/opt/state"};
  try {
    mounted_archive(target, mounts, all, Consistency::stop);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::container);
    CHECK(error.hint() == "use --consistency pause");
  }
  CHECK_NOTHROW(mounted_archive(target, mounts, all, Consistency::pause));
  target.settings.paths = {"/data/state"};
  CHECK_NOTHROW(mounted_archive(target, mounts, all, Consistency::stop));
}

TEST_CASE("archive: class F says what is not proven, and whose files they are") {
  Target target = test::target("searxng", 'F');
  target.container.image = "sha256:abc";
  const Capture capture = mounted_archive(target, mounts, all, Consistency::automatic);
  CHECK(capture.follow_ups == Names{"engine-specific dump not proven",
                                    "the engine's version is not known, as the image has no label "
                                    "org.opencontainers.image.version: keep image sha256:abc"});
  CHECK(capture.facts == Json::object());
  target.container.labels["org.opencontainers.image.version"] = "v1.11.1";
  const Capture known = mounted_archive(target, mounts, all, Consistency::automatic);
  CHECK(known.follow_ups == Names{"engine-specific dump not proven"});
  CHECK(known.facts == Json{{"image_version", "v1.11.1"}});
}

TEST_CASE("archive: a fallback names its reason twice: as such, and as a warning") {
  const Capture capture = as_fallback(
      mounted_archive(test::target("vault", 'C'), mounts, all, Consistency::automatic), "no token");
  CHECK(capture.fallback == "no token");
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0] ==
        "mounted data archive instead of the class's own procedure: no token");
}

TEST_CASE("archive: class G takes the compose project's directory first") {
  Target target = test::target("agaria-redis", 'G');
  target.container.labels["com.docker.compose.project.working_dir"] = "/opt/agaria/";
  const std::vector<MountChoice> choices{taken(bind_mount("/opt/agaria/data", "/data")),
                                         taken(volume("v", "/compose"))};
  const Capture capture = compose_project(target, choices, {}, Consistency::automatic);
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
  const Capture capture = compose_project(target, choices, {}, Consistency::automatic);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).excludes ==
        Names{"*/cache", "/opt/agaria/data/sub"});
}

TEST_CASE("archive: class G leaves out what running neighbours write, and names it") {
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
  Capture capture = compose_project(target, choices, others, Consistency::automatic);
  leave_out_neighbours(capture, others);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).excludes ==
        Names{"/opt/agaria/data", "/opt/agaria/db"});
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0] ==
        "/opt/agaria/db is not in the compose project's archive: db writes there, and is to be "
        "backed up as a module of its own");
}

TEST_CASE("archive: a single mount beside the compose directory has a name, too") {
  Target target = test::target("agaria-redis", 'G');
  target.settings.compose_root = "/srv/agaria";
  target.container.labels["com.docker.compose.project.working_dir"] = "/opt/agaria";
  const Capture capture = compose_project(target, mounts, {}, Consistency::automatic);
  REQUIRE(capture.parts.size() == 2);
  CHECK(std::get<HostDirectory>(capture.parts[0].what).path == "/srv/agaria");
  CHECK(capture.parts[1].name == "data");
}

TEST_CASE("archive: class G without data, and without a directory") {
  Target target = test::target("agaria-redis", 'G');
  CHECK_THROWS_AS(compose_project(target, mounts, {}, Consistency::automatic), Error);
  target.settings.compose_root = "relative";
  CHECK_THROWS_AS(compose_project(target, mounts, {}, Consistency::automatic), Error);
  target.settings.compose_root = "/srv/agaria";
  const Capture capture = compose_project(target, {}, {}, Consistency::automatic);
  CHECK(capture.parts.size() == 1);
  CHECK(capture.quiesce.empty());
  CHECK(capture.warnings == Names{"the container has no mount that holds data"});
}
