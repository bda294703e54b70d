// Which mounts are taken, what their parts are called, and who else writes to them.
#include "bba/service/mounts.hpp"

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::service;
using test::bind_mount;
using test::left_out;
using test::names_of;
using test::summary;
using test::taken;
using test::volume;
using Names = std::vector<std::string>;

TEST_CASE("mounts: each mount is data or not, for a stated reason") {
  struct Case {
    wire::Mount mount;
    tree::SourceKind source;
    bool taken;
    std::string why;
  };
  const std::vector<Case> cases{
      {volume("v", "/data"), tree::SourceKind::directory, true, "a volume"},
      {volume("v", "/data", false), tree::SourceKind::directory, true,
       "a volume, though read-only here"},
      {volume("v", "/data"), tree::SourceKind::unreachable, true, "a volume"},
      {volume("v", "/dev/shm-like"), tree::SourceKind::directory, true, "a volume"},
      {bind_mount("/srv/x", "/data"), tree::SourceKind::directory, true, "a writable bind"},
      {bind_mount("/srv/x.db", "/x.db"), tree::SourceKind::file, true, "a writable bind"},
      {bind_mount("/srv/x", "/data"), tree::SourceKind::unreachable, true, "a writable bind"},
      {bind_mount("/srv/x", "/data", false), tree::SourceKind::directory, false,
       "a read-only bind: this container does not change it"},
      {bind_mount("/var/run/docker.sock", "/var/run/docker.sock"), tree::SourceKind::other, false,
       "the Docker Engine's socket"},
      {bind_mount("/run/user/1000/docker.sock", "/d.sock"), tree::SourceKind::unreachable, false,
       "the Docker Engine's socket"},
      {bind_mount("/run/x.sock", "/x.sock"), tree::SourceKind::other, false,
       "a socket or a device, not data"},
      {bind_mount("/proc", "/host/proc"), tree::SourceKind::directory, false,
       "a view of the kernel (/proc)"},
      {bind_mount("/sys/fs/cgroup", "/x"), tree::SourceKind::directory, false,
       "a view of the kernel (/sys)"},
      {bind_mount("/dev", "/dev"), tree::SourceKind::directory, false,
       "a view of the kernel (/dev)"},
      {bind_mount("/srv/x", "/proc/x"), tree::SourceKind::directory, false,
       "a view of the kernel (/proc)"},
      {bind_mount("/devel", "/system"), tree::SourceKind::directory, true, "a writable bind"},
      {{"tmpfs", "", "", "/tmp", true},
       tree::SourceKind::unreachable,
       false,
       "tmpfs: gone with the container anyway"},
      {{"npipe", "", "x", "/x", true},
       tree::SourceKind::other,
       false,
       "type npipe: holds no data of this host"},
      {{"cluster", "c", "", "/x", true},
       tree::SourceKind::unreachable,
       false,
       "type cluster: holds no data of this host"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.mount.source);
    CAPTURE(one.mount.destination);
    const auto choices = choose_mounts({one.mount}, {one.source});
    REQUIRE(choices.size() == 1);
    CHECK(choices[0].taken == one.taken);
    CHECK(choices[0].why == one.why);
  }
}

TEST_CASE("mounts: sorted by destination, whatever the engine's order") {
  const auto choices = choose_mounts(
      {volume("b", "/b"), bind_mount("/x", "/c"), volume("a", "/a")},
      {tree::SourceKind::directory, tree::SourceKind::other, tree::SourceKind::directory});
  REQUIRE(choices.size() == 3);
  CHECK(choices[0].mount.name == "a");
  CHECK(choices[1].mount.name == "b");
  CHECK(choices[2].mount.source == "/x");
  CHECK_FALSE(choices[2].taken);  // each kept its own source's kind
}

TEST_CASE("mounts: names of parts") {
  CHECK(part_name("/var/lib/data", {}) == "var-lib-data");
  CHECK(part_name("/data/", {}) == "data");
  CHECK(part_name("/", {}) == "root");
  CHECK(part_name("", {}) == "root");
  CHECK(part_name("/a b//c", {}) == "a-b-c");
  CHECK(part_name("/.hidden/..", {}) == "hidden");
  CHECK(part_name("/\xC3\xA4", {}) == "root");
  CHECK(part_name("/snake_case/X9", {}) == "snake_case-X9");
  CHECK(part_name("/data", {"data"}) == "data-2");
  CHECK(part_name("/data", {"data", "data-2"}) == "data-3");
  CHECK(part_name("/" + std::string(500, 'x'), {}).size() == 80);
  const std::string longest(80, 'x');
  CHECK(part_name("/" + std::string(500, 'x'), {longest}) == longest + "-2");
}

TEST_CASE("mounts: with paths, a mount counts where a path lies in it or above it") {
  const std::vector<MountChoice> all{
      taken(volume("data", "/data")),          taken(volume("git", "/data/git")),
      taken(volume("deep", "/data/git/deep")), left_out({"tmpfs", "", "", "/data/tmp", true}),
      taken(volume("other", "/other")),        left_out(bind_mount("/srv/conf", "/conf"))};
  const auto narrowed = [&](std::vector<std::string> paths) {
    std::vector<MountChoice> mounts = all;
    narrow_to_paths(paths, mounts, "paths are archived instead");
    std::string said = join(paths, " ") + ":";
    for (const MountChoice& one : mounts) {
      if (one.taken) said += " " + one.mount.destination;
      if (!one.taken && one.why != "a test") CHECK(one.why == "paths are archived instead");
    }
    return said;
  };
  // What is mounted below a path is in no archive of it, so it gets one of its own.
  CHECK(narrowed({"/data"}) == "/data /data/git /data/git/deep: /data /data/git /data/git/deep");
  CHECK(narrowed({"/data/git", "/data/git"}) ==
        "/data/git /data/git/deep: /data/git /data/git/deep");
  CHECK(narrowed({"/data/file", "/other/x"}) == "/data/file /other/x: /data /other");
  CHECK(narrowed({"/srv"}) == "/srv:");
  CHECK(narrowed({"/"}) ==
        "/ /data /data/git /data/git/deep /other: /data /data/git /data/git/deep /other");
  // It was asked for, though it would be left out otherwise.
  CHECK(narrowed({"/conf/x"}) == "/conf/x: /conf");
}

TEST_CASE("mounts: containers that share a volume are paused after the target") {
  const std::vector<wire::ContainerSummary> all{
      summary("other", {volume("w", "/w")}), summary("worker", {volume("v", "/elsewhere")}),
      summary("app", {volume("v", "/data")}), summary("asleep", {volume("v", "/data")}, "paused"),
      summary("gone", {volume("v", "/data")}, "exited")};
  CHECK(names_of(sharing_containers(all, "id-of-app", {taken(volume("v", "/data"))})) ==
        Names{"app", "worker", "asleep"});
}

TEST_CASE("mounts: only those that can write to archived data are paused") {
  const std::vector<wire::ContainerSummary> all{
      summary("app", {volume("v", "/data"), volume("w", "/w")}),
      summary("reader", {volume("v", "/data", false)}),
      summary("exporter", {bind_mount("/", "/host", false)}),
      summary("w-writer", {volume("w", "/w")})};
  CHECK(names_of(sharing_containers(all, "id-of-app",
                                    {taken(volume("v", "/data")), left_out(volume("w", "/w"))})) ==
        Names{"app"});
}

TEST_CASE("mounts: a target that is not running is not paused, but those that share its data are") {
  const std::vector<wire::ContainerSummary> all{summary("app", {volume("v", "/data")}, "exited"),
                                                summary("worker", {volume("v", "/data")})};
  CHECK(names_of(sharing_containers(all, "id-of-app", {taken(volume("v", "/data"))})) ==
        Names{"worker"});
}

TEST_CASE("mounts: bind mounts share data where one source is inside the other") {
  const auto shares = [](const std::string& ours, const std::string& theirs) {
    const std::vector<wire::ContainerSummary> all{summary("app", {bind_mount(ours, "/data")}),
                                                  summary("other", {bind_mount(theirs, "/x")})};
    return sharing_containers(all, "id-of-app", {taken(bind_mount(ours, "/data"))}).size() == 2;
  };
  CHECK(shares("/srv/app", "/srv/app"));
  CHECK(shares("/srv/app", "/srv/app/sub"));
  CHECK(shares("/srv/app/sub", "/srv/app"));
  CHECK(shares("/srv/app", "/"));
  CHECK_FALSE(shares("/srv/app", "/srv/app2"));
  CHECK_FALSE(shares("/srv/app2", "/srv/app"));
  CHECK_FALSE(shares("/srv/app", "/srv/other"));
}

TEST_CASE(
    "mounts: a bind mount of a volume's directory shares it, anonymous volumes share nothing") {
  const std::vector<wire::ContainerSummary> all{
      summary("app", {volume("v", "/data")}), summary("binder", {bind_mount("/volumes/v", "/x")}),
      summary("nameless", {{"volume", "", "", "/y", true}}),
      summary("tmp", {{"tmpfs", "", "", "/volumes/v/_data", true}})};
  CHECK(names_of(sharing_containers(all, "id-of-app", {taken(volume("v", "/data"))})) ==
        Names{"app", "binder"});
  CHECK(names_of(sharing_containers(all, "id-of-app",
                                    {taken({"volume", "", "", "/data", true})})) == Names{"app"});
}
