#include "restore/carry_over.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/base/fd.hpp"
#include "unit/sets.hpp"

namespace bba::restore {
namespace {

using namespace test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

// A live directory and one that was built for it.
struct TwoDirectories {
  TwoDirectories() {
    fs::create_directory(live);
    fs::create_directory(built);
  }
  // Carries over what has this name, at any depth.
  CarriedOver carry(const Lines& names) const {
    CarriedOver carried = carry_over(live, built, [&](const std::string& path) {
      return std::ranges::count(names, fs::path(path).filename().string()) != 0;
    });
    std::ranges::sort(carried.paths);
    std::ranges::sort(carried.without_place);
    return carried;
  }

  pipe::test::TempDir temp;
  std::string live = temp / "live";
  std::string built = temp / "built";
};

struct stat status_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status;
}

unsigned mode_of(const std::string& path) {
  return status_of(path).st_mode & 07777u;
}

void set_attribute(const std::string& path, const std::string& name, const std::string& value) {
  REQUIRE(::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0);
}

std::string attribute_of(const std::string& path, const std::string& name) {
  std::string value(256, '\0');
  const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  if (size < 0) return "none";
  value.resize(static_cast<std::size_t>(size));
  return value;
}

void set_times(const std::string& path, time_t seconds, long nanoseconds) {
  const std::array<timespec, 2> times{timespec{seconds - 1, 7}, timespec{seconds, nanoseconds}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0);
}

void put_socket(const std::string& path) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

}  // namespace

TEST_CASE("a file is carried over with its content, owner, mode, times and attributes") {
  const TwoDirectories two;
  const std::string content(3'000'000, 'x');
  write_file(two.live + "/pg_hba.conf", content);
  write_file(two.live + "/other", "stays");
  REQUIRE(::chown((two.live + "/pg_hba.conf").c_str(), 999, 998) == 0);
  fs::permissions(two.live + "/pg_hba.conf", fs::perms(04640));
  set_attribute(two.live + "/pg_hba.conf", "user.note", std::string("a\0b", 3));
  set_attribute(two.live + "/pg_hba.conf", "user.empty", "");
  set_times(two.live + "/pg_hba.conf", 1'700'000'000, 123'456'789);

  const CarriedOver carried = two.carry({"pg_hba.conf"});
  CHECK(carried.paths == Lines{"/pg_hba.conf"});
  CHECK(carried.without_place == Lines{});
  const std::string copy = two.built + "/pg_hba.conf";
  CHECK(read_file(copy) == content);
  const struct stat status = status_of(copy);
  CHECK(status.st_uid == 999);
  CHECK(status.st_gid == 998);
  CHECK(mode_of(copy) == 04640);
  CHECK(status.st_mtim.tv_sec == 1'700'000'000);
  CHECK(status.st_mtim.tv_nsec == 123'456'789);
  CHECK(attribute_of(copy, "user.note") == std::string("a\0b", 3));
  CHECK(attribute_of(copy, "user.empty").empty());
  CHECK_FALSE(fs::exists(two.built + "/other"));
  CHECK(read_file(two.live + "/pg_hba.conf") == content);
}

TEST_CASE("a link is carried over as it is, wherever it leads") {
  const TwoDirectories two;
  write_file(two.temp / "outside", "not to be touched");
  fs::create_symlink(two.temp / "outside", two.live + "/link");
  fs::create_symlink("nowhere", two.live + "/dangling");
  fs::create_directory_symlink("/proc", two.live + "/to-directory");
  REQUIRE(::lchown((two.live + "/link").c_str(), 999, 998) == 0);
  set_times(two.live + "/link", 1'600'000'000, 0);
  CHECK(two.carry({"link", "dangling", "to-directory"}).paths ==
        Lines{"/dangling", "/link", "/to-directory"});
  CHECK(fs::read_symlink(two.built + "/link") == two.temp / "outside");
  CHECK(fs::read_symlink(two.built + "/dangling") == "nowhere");
  CHECK(fs::read_symlink(two.built + "/to-directory") == "/proc");
  CHECK(status_of(two.built + "/link").st_uid == 999);
  CHECK(status_of(two.built + "/link").st_mtim.tv_sec == 1'600'000'000);
  CHECK(read_file(two.temp / "outside") == "not to be touched");
  CHECK(status_of(two.temp / "outside").st_uid == 0);
}

TEST_CASE("a directory is carried over with all below it, and is one entry") {
  const TwoDirectories two;
  fs::create_directories(two.live + "/conf.d/deep");
  write_file(two.live + "/conf.d/a.conf", "a");
  write_file(two.live + "/conf.d/deep/b.conf", "b");
  fs::create_symlink("a.conf", two.live + "/conf.d/link");
  fs::permissions(two.live + "/conf.d/deep", fs::perms(0500));
  REQUIRE(::chown((two.live + "/conf.d").c_str(), 999, 999) == 0);
  set_times(two.live + "/conf.d/deep", 1'500'000'000, 1);
  set_times(two.live + "/conf.d", 1'500'000'001, 2);
  CHECK(two.carry({"conf.d", "a.conf"}).paths == Lines{"/conf.d"});
  CHECK(read_file(two.built + "/conf.d/a.conf") == "a");
  CHECK(read_file(two.built + "/conf.d/deep/b.conf") == "b");
  CHECK(fs::read_symlink(two.built + "/conf.d/link") == "a.conf");
  CHECK(mode_of(two.built + "/conf.d/deep") == 0500);
  CHECK(status_of(two.built + "/conf.d").st_uid == 999);
  CHECK(status_of(two.built + "/conf.d/deep").st_mtim.tv_sec == 1'500'000'000);
  CHECK(status_of(two.built + "/conf.d").st_mtim.tv_sec == 1'500'000'001);
}

TEST_CASE("what is there already is replaced, and what only the built directory has stays") {
  const TwoDirectories two;
  fs::create_directories(two.live + "/conf.d");
  fs::create_directories(two.built + "/conf.d");
  write_file(two.live + "/conf.d/both", "live");
  write_file(two.built + "/conf.d/both", "built, and longer");
  write_file(two.built + "/conf.d/own", "own");
  write_file(two.live + "/file", "live");
  write_file(two.temp / "outside", "not to be touched");
  // Not written through a link that is there.
  fs::create_symlink(two.temp / "outside", two.built + "/file");
  write_file(two.live + "/was-directory", "live");
  fs::create_directories(two.built + "/was-directory/below");
  CHECK(two.carry({"conf.d", "file", "was-directory"}).paths ==
        Lines{"/conf.d", "/file", "/was-directory"});
  CHECK(read_file(two.built + "/conf.d/both") == "live");
  CHECK(read_file(two.built + "/conf.d/own") == "own");
  CHECK(fs::is_regular_file(fs::symlink_status(two.built + "/file")));
  CHECK(read_file(two.built + "/file") == "live");
  CHECK(read_file(two.temp / "outside") == "not to be touched");
  CHECK(read_file(two.built + "/was-directory") == "live");
}

TEST_CASE("sockets are left out, and other special files are not") {
  const TwoDirectories two;
  fs::create_directory(two.live + "/run");
  put_socket(two.live + "/socket");
  put_socket(two.live + "/run/socket");
  REQUIRE(::mkfifo((two.live + "/run/fifo").c_str(), 0600) == 0);
  const CarriedOver carried = two.carry({"run", "socket"});
  CHECK(carried.paths == Lines{"/run"});
  CHECK(carried.without_place == Lines{});
  CHECK_FALSE(fs::exists(two.built + "/socket"));
  CHECK_FALSE(fs::exists(two.built + "/run/socket"));
  CHECK(S_ISFIFO(status_of(two.built + "/run/fifo").st_mode));
}

TEST_CASE("what has no directory in the built one is named and not carried over") {
  const TwoDirectories two;
  fs::create_directories(two.live + "/there");
  fs::create_directories(two.live + "/missing/deeper/cert.d");
  fs::create_directories(two.built + "/there");
  write_file(two.live + "/there/key", "1");
  write_file(two.live + "/missing/key", "2");
  write_file(two.live + "/missing/deeper/key", "3");
  const CarriedOver carried = two.carry({"key", "cert.d"});
  CHECK(carried.paths == Lines{"/there/key"});
  CHECK(carried.without_place ==
        Lines{"/missing/deeper/cert.d", "/missing/deeper/key", "/missing/key"});
  CHECK(read_file(two.built + "/there/key") == "1");
  CHECK_FALSE(fs::exists(two.built + "/missing"));
}

TEST_CASE("links in the built directory are not followed: nothing outside of it is changed") {
  const TwoDirectories two;
  fs::create_directory(two.temp / "outside");
  fs::create_directories(two.live + "/conf.d/sub");
  fs::create_directories(two.live + "/other");
  write_file(two.live + "/conf.d/sub/f", "live");
  write_file(two.live + "/other/key", "live");
  fs::create_directory(two.built + "/conf.d");
  fs::create_symlink("../../outside", two.built + "/conf.d/sub");
  fs::create_symlink("../outside", two.built + "/other");
  const CarriedOver carried = two.carry({"conf.d", "key"});
  CHECK(carried.paths == Lines{"/conf.d"});
  CHECK(carried.without_place == Lines{"/other/key"});
  CHECK(fs::is_empty(two.temp / "outside"));
  CHECK(read_file(two.built + "/conf.d/sub/f") == "live");
  CHECK_FALSE(fs::is_symlink(two.built + "/conf.d/sub"));
}

TEST_CASE("a directory takes the place of a file, and a socket that of nothing") {
  const TwoDirectories two;
  fs::create_directories(two.live + "/conf.d/a");
  write_file(two.live + "/conf.d/a/f", "live");
  fs::create_directory(two.built + "/conf.d");
  write_file(two.built + "/conf.d/a", "built");
  put_socket(two.live + "/control");
  write_file(two.built + "/control", "built");
  CHECK(two.carry({"conf.d", "control"}).paths == Lines{"/conf.d"});
  CHECK(read_file(two.built + "/conf.d/a/f") == "live");
  CHECK(read_file(two.built + "/control") == "built");
}

TEST_CASE("links of the live directory are not followed in the search") {
  const TwoDirectories two;
  fs::create_directory(two.temp / "outside");
  write_file(two.temp / "outside/key", "x");
  fs::create_directory_symlink(two.temp / "outside", two.live + "/link");
  fs::create_directory(two.built + "/link");
  CHECK(two.carry({"key"}).paths == Lines{});
  CHECK(fs::is_empty(two.built + "/link"));
}

TEST_CASE("what cannot be read is an error") {
  const TwoDirectories two;
  const auto all = [](const std::string&) { return true; };
  const Thrown missing = thrown_by([&] { carry_over(two.temp / "missing", two.built, all); });
  CHECK(missing.kind == ErrorKind::storage);
  CHECK(contains(missing.message, two.temp / "missing"));
}

TEST_CASE("owner and mode of the root are copied only when asked, attributes always") {
  const TwoDirectories two;
  REQUIRE(::chown(two.live.c_str(), 999, 998) == 0);
  fs::permissions(two.live, fs::perms(02750));
  fs::permissions(two.built, fs::perms(0700));
  set_attribute(two.live, "user.note", "live");
  set_attribute(two.built, "user.note", "built");
  write_file(two.live + "/file", "content");

  carry_over_root(two.live, two.built, false);
  CHECK(status_of(two.built).st_uid == 0);
  CHECK(mode_of(two.built) == 0700);
  CHECK(attribute_of(two.built, "user.note") == "live");

  carry_over_root(two.live, two.built, true);
  CHECK(status_of(two.built).st_uid == 999);
  CHECK(status_of(two.built).st_gid == 998);
  CHECK(mode_of(two.built) == 02750);
  CHECK(fs::is_empty(two.built));
  CHECK(thrown_by([&] { carry_over_root(two.temp / "missing", two.built, true); }).kind ==
        ErrorKind::storage);
}

}  // namespace bba::restore
