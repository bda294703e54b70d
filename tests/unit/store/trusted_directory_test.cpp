#include "bba/store/trusted_directory.hpp"

#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/sets.hpp"

namespace bba::store {
namespace {

using namespace test;
namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;

struct stat status_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status;
}

Thrown opened(const std::string& path) {
  return thrown_by([&] { open_trusted(path, ::geteuid(), ErrorKind::gate); });
}

}  // namespace

TEST_CASE("missing directories are created, each 0755 whatever the umask, and then opened") {
  const pipe::test::TempDir temp;
  const std::string path = temp / "a//./b/c/";
  CHECK_FALSE(open_trusted(path, ::geteuid(), ErrorKind::gate));
  const mode_t before = ::umask(077);
  const Fd made = make_trusted(path);
  ::umask(before);
  for (const char* one : {"a", "a/b", "a/b/c"}) {
    CHECK((status_of(temp / one).st_mode & 07777u) == 0755);
  }
  struct stat status {};
  REQUIRE(::fstat(made.get(), &status) == 0);
  CHECK(status.st_ino == status_of(temp / "a/b/c").st_ino);
  CHECK(open_trusted(path, ::geteuid(), ErrorKind::gate));
}

TEST_CASE("an existing directory keeps its mode") {
  const pipe::test::TempDir temp;
  fs::create_directories(temp / "a/b");
  fs::permissions(temp / "a", fs::perms(0700));
  CHECK(make_trusted(temp / "a/b/c"));
  CHECK((status_of(temp / "a").st_mode & 07777u) == 0700);
}

TEST_CASE("nobody else may write to it, or to a directory above it") {
  const pipe::test::TempDir temp;
  const std::string path = temp / "a/b/c";
  REQUIRE(make_trusted(path));
  for (const char* one : {"a", "a/b", "a/b/c"}) {
    for (const unsigned mode : {0775u, 0757u}) {
      CAPTURE(one);
      fs::permissions(temp / one, fs::perms(mode));
      const Thrown open = opened(path);
      CHECK(open.kind == ErrorKind::gate);
      CHECK(contains(open.message, temp / one + " can be written by others"));
      CHECK(open.hint == "chmod go-w " + temp / one);
      CHECK(thrown_by([&] { make_trusted(path); }).kind == ErrorKind::storage);
      // Nothing is created below it either.
      CHECK(thrown_by([&] { make_trusted(path + "/more/of/it"); }).kind == ErrorKind::storage);
      fs::permissions(temp / one, fs::perms(0755));
      CHECK_FALSE(fs::exists(path + "/more"));
    }
  }
  CHECK_FALSE(opened(path).kind.has_value());
}

TEST_CASE("nobody else may own it, or a directory above it") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root, to give a directory away");
    return;
  }
  const pipe::test::TempDir temp;
  const std::string path = temp / "a/b/c";
  REQUIRE(make_trusted(path));
  for (const char* one : {"a", "a/b", "a/b/c"}) {
    CAPTURE(one);
    REQUIRE(::chown((temp / one).c_str(), nobody, 0) == 0);
    CHECK(opened(path).kind == ErrorKind::gate);
    CHECK(contains(opened(path).message, temp / one + " belongs to user id 65534"));
    REQUIRE(::chown((temp / one).c_str(), 0, 0) == 0);
  }
  // Directories above it may belong to root or to its own owner.
  REQUIRE(::chown(path.c_str(), nobody, 0) == 0);
  CHECK(open_trusted(path, nobody, ErrorKind::gate));
  REQUIRE(::chown((temp / "a").c_str(), nobody, 0) == 0);
  CHECK(open_trusted(path, nobody, ErrorKind::gate));
}

TEST_CASE("a sticky directory of root is trusted for entries that others cannot move") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root, to give a directory away");
    return;
  }
  const pipe::test::TempDir temp;
  const std::string path = temp / "all/proofs";
  REQUIRE(make_trusted(path));
  fs::permissions(temp / "all", fs::perms(01777));
  CHECK_FALSE(opened(path).kind.has_value());
  REQUIRE(::chown((temp / "all").c_str(), nobody, 0) == 0);
  CHECK(contains(opened(path).message, temp / "all" + " belongs to user id 65534"));
  REQUIRE(::chown((temp / "all").c_str(), 0, 0) == 0);
  // The directory itself must not be writable by others.
  fs::permissions(path, fs::perms(01777));
  CHECK(contains(opened(path).message, path + " can be written by others"));
}

TEST_CASE("a symlink is followed where nobody else can have made it") {
  const pipe::test::TempDir temp;
  REQUIRE(make_trusted(temp / "real/proofs"));
  fs::create_symlink("real", temp / "relative");
  fs::create_symlink(temp / "real/proofs", temp / "absolute");
  fs::create_symlink("round", temp / "round");
  CHECK(open_trusted(temp / "relative/proofs", ::geteuid(), ErrorKind::gate));
  CHECK(open_trusted(temp / "absolute", ::geteuid(), ErrorKind::gate));
  CHECK(opened(temp / "round").kind == ErrorKind::gate);
  // The link's target is judged like the directory itself.
  fs::permissions(temp / "real", fs::perms(0777));
  CHECK(contains(opened(temp / "absolute").message, temp / "real" + " can be written by others"));
  fs::permissions(temp / "real", fs::perms(0755));
  if (::geteuid() == 0) {
    REQUIRE(::lchown((temp / "relative").c_str(), nobody, 0) == 0);
    CHECK(contains(opened(temp / "relative/proofs").message,
                   temp / "relative" + " belongs to user id"));
  }
}

TEST_CASE("a path that is not a directory is an error") {
  const pipe::test::TempDir temp;
  write_file(temp / "file", "x");
  CHECK(opened(temp / "file").kind == ErrorKind::gate);
  CHECK(thrown_by([&] { make_trusted(temp / "file/below"); }).kind == ErrorKind::storage);
}

}  // namespace bba::store
