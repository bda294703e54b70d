// Classes E and F: what is archived, which containers are paused, and which warnings there are.
#include "bba/services/files.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "unit/service/support.hpp"
#include "unit/services/support.hpp"

using namespace bba;
using namespace bba::service;
using services::files::mounted_archive;
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

TEST_CASE("archive: every container that writes is paused, the target first") {
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

TEST_CASE("archive: live pauses no container, and warns where one could write") {
  const Capture live = mounted_archive(test::target("kuma"), mounts, all, Consistency::live);
  CHECK(live.consistency == Consistency::live);
  CHECK(live.quiesce.empty());
  REQUIRE(live.warnings.size() == 1);
  CHECK(live.warnings[0].find("taken live") == 0);
  const Capture quiet = mounted_archive(test::target("kuma"), mounts, {}, Consistency::live);
  CHECK(quiet.warnings.empty());
}

TEST_CASE("archive: a container without data is refused, and the error says what to do") {
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

TEST_CASE("archive: data on no mount cannot be read once its container is stopped") {
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

TEST_CASE("archive: class F says what is not proven, and which version's files they are") {
  Target target = test::target("searxng", 'F');
  target.container.image = "sha256:abc";
  const auto plan = [&] {
    return test::PlanFixture().plan(services::files::unproven_engine(), target, mounts, all);
  };
  const Capture capture = plan();
  CHECK(capture.follow_ups == Names{"engine-specific dump not proven",
                                    "the engine's version is not known, as the image has no label "
                                    "org.opencontainers.image.version: keep image sha256:abc"});
  CHECK(capture.facts == Json::object());
  target.container.labels["org.opencontainers.image.version"] = "v1.11.1";
  const Capture known = plan();
  CHECK(known.follow_ups == Names{"engine-specific dump not proven"});
  CHECK(known.facts == Json{{"image_version", "v1.11.1"}});
}

TEST_CASE("archive: a fallback gives its reason in its own field and as a warning") {
  const Capture capture = as_fallback(
      mounted_archive(test::target("vault", 'C'), mounts, all, Consistency::automatic), "no token");
  CHECK(capture.fallback == "no token");
  REQUIRE(capture.warnings.size() == 1);
  CHECK(capture.warnings[0] ==
        "mounted data archive instead of the class's own procedure: no token");
}
