// Which archives are taken of a container, and where each is restored.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/services/files.hpp"
#include "unit/pipe/support.hpp"
#include "unit/service/fakes.hpp"

using namespace bba;
using namespace bba::service;
using services::files::archive_parts;
using test::bind_mount;
using test::left_out;
using test::taken;
using test::volume;
using Names = std::vector<std::string>;

TEST_CASE("mounts: a single part has no name, each of several has its own") {
  const Target target = test::target("kuma");
  const auto one = archive_parts(
      target, {taken(volume("v", "/app/data")), left_out(bind_mount("/etc/x", "/etc/x"))});
  REQUIRE(one.size() == 1);
  CHECK(one[0].name == "");
  const auto& archive = std::get<PathArchive>(one[0].what);
  CHECK(archive.path == "/app/data");
  CHECK(archive.host_path == "/volumes/v/_data");
  CHECK(archive.nested.empty());

  const auto two = archive_parts(
      target, {taken(volume("a", "/a b")), taken(volume("c", "/a-b")), taken(volume("d", "/d"))});
  REQUIRE(two.size() == 3);
  CHECK(two[0].name == "a-b");
  CHECK(two[1].name == "a-b-2");
  CHECK(two[2].name == "d");
  CHECK(archive_parts(target, {left_out(volume("v", "/v"))}).empty());
}

TEST_CASE("mounts: a mount inside another is not part of it, whether it is archived or not") {
  const auto parts =
      archive_parts(test::target("x"),
                    {taken(volume("a", "/data")), taken(volume("b", "/data/deep/b")),
                     left_out(bind_mount("/etc/x", "/data/x")), taken(volume("c", "/database"))});
  REQUIRE(parts.size() == 3);
  CHECK(std::get<PathArchive>(parts[0].what).nested == Names{"/data/deep/b", "/data/x"});
  CHECK(std::get<PathArchive>(parts[1].what).nested.empty());
  CHECK(std::get<PathArchive>(parts[2].what).nested.empty());
}

TEST_CASE("mounts: configured paths replace the mounts, and are found on the host") {
  Target target = test::target("x");
  target.settings.paths = {"/data/sub", "/opt/own", "/data/deep/b/c"};
  target.settings.excludes = {"*/cache"};
  const auto parts = archive_parts(
      target, {taken(volume("a", "/data")), left_out(bind_mount("/srv/b", "/data/deep/b")),
               left_out({"tmpfs", "", "", "/opt", true})});
  REQUIRE(parts.size() == 3);
  const auto& sub = std::get<PathArchive>(parts[0].what);
  CHECK(sub.host_path == "/volumes/a/_data/sub");
  CHECK(sub.excludes == Names{"*/cache"});
  CHECK(sub.nested.empty());
  CHECK(std::get<PathArchive>(parts[1].what).host_path == "");  // in the container's own layer
  CHECK(std::get<PathArchive>(parts[2].what).host_path == "/srv/b/c");  // the innermost mount's
  CHECK(parts[0].name == "data-sub");
  target.settings.paths = {"/data"};
  const auto whole = archive_parts(target, {taken(volume("a", "/data"))});
  REQUIRE(whole.size() == 1);
  CHECK(std::get<PathArchive>(whole[0].what).host_path == "/volumes/a/_data");
  CHECK(whole[0].name == "");
}

TEST_CASE("archive: where a part is restored, and the volume that a drill makes for it") {
  store::ArtifactRecord record;
  record.kind = "tar";
  record.found = *parse_json(R"({"directories": 3})");
  const auto place = [&](const std::string& source) {
    record.source = source;
    test::RecordingTarget target;
    for (const auto& step : services::files::restore_archive(record).steps) step->carry_out(target);
    const FreshTarget fresh = services::files::fresh_volume_for(record);
    return target.asked.at(0) + " in " +
           (fresh.volumes.empty() ? std::string() : fresh.volumes[0].destination);
  };
  CHECK(place("/data") == "put /data in /data");
  CHECK(place("/var/lib/x y") == "put /var/lib/x y in /var/lib/x y");
  CHECK_FALSE(pipe::test::error_of([&] { place("/"); }).empty());
  CHECK_FALSE(pipe::test::error_of([&] { place("data"); }).empty());
  record.found = *parse_json(R"({"directories": 0})");
  CHECK(place("/etc/app/hosts.csv") == "put /etc/app/hosts.csv in /etc/app");
  CHECK(place("/hosts.csv") == "put /hosts.csv in ");
}
