#include "bba/run/exchange.hpp"

#include <filesystem>
#include <functional>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/sets.hpp"
#include "unit/store/support.hpp"

namespace bba::run {
namespace {

using namespace test;
using ::test::Child;
namespace fs = std::filesystem;

// A live directory and one that was built beside it, each with a file that tells them apart.
struct TwoDirectories {
  TwoDirectories() {
    for (const std::string& one : {live, built}) {
      fs::create_directory(one);
      write_file(one + "/name", fs::path(one).filename().string());
    }
    pair = {live, built, *file_id(live), *file_id(built)};
  }
  bool is_before() const {
    return read_file(live + "/name") == "live" && read_file(built + "/name") == "built";
  }
  bool is_exchanged() const {
    return read_file(live + "/name") == "built" && read_file(built + "/name") == "live";
  }

  pipe::test::TempDir temp;
  std::string live = temp / "live";
  std::string built = temp / "built";
  ExchangePair pair;
};

Thrown refused(const std::string& directory) {
  return thrown_by([&] { require_exchangeable(directory); });
}

// What a process does that has one directory mounted at another, in a mount namespace of its own.
std::function<std::string()> mounting(const std::string& directory, const std::string& at) {
  return [&directory, &at]() -> std::string {
    const bool is_mounted = ::unshare(CLONE_NEWNS) == 0 &&
                            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                            ::mount(directory.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) == 0;
    return is_mounted ? "mounted" : "not mounted";
  };
}

}  // namespace

TEST_CASE("two directories are exchanged, and exchanged back by the same call") {
  const TwoDirectories two;
  CHECK(state_of(two.pair) == PairState::before);
  CHECK(two.is_before());
  exchange(two.pair);
  CHECK(state_of(two.pair) == PairState::exchanged);
  CHECK(two.is_exchanged());
  exchange(two.pair);
  CHECK(state_of(two.pair) == PairState::before);
  CHECK(two.is_before());
}

TEST_CASE("directories in two parents are exchanged as well") {
  const pipe::test::TempDir temp;
  fs::create_directories(temp / "a/live");
  fs::create_directories(temp / "b/built");
  write_file(temp / "b/built/new", "x");
  const ExchangePair pair{temp / "a/live", temp / "b/built", *file_id(temp / "a/live"),
                          *file_id(temp / "b/built")};
  require_exchangeable(pair.live, pair.built);
  exchange(pair);
  CHECK(state_of(pair) == PairState::exchanged);
  CHECK(fs::exists(temp / "a/live/new"));
}

TEST_CASE("a directory that was replaced, or is gone, is neither before nor exchanged") {
  const TwoDirectories two;
  fs::rename(two.built, two.temp / "aside");
  CHECK(state_of(two.pair) == PairState::neither);
  fs::create_directory(two.built);
  CHECK(state_of(two.pair) == PairState::neither);
  fs::remove(two.built);
  fs::rename(two.temp / "aside", two.built);
  CHECK(state_of(two.pair) == PairState::before);
  fs::rename(two.live, two.temp / "aside");
  CHECK(state_of(two.pair) == PairState::neither);
  // The place of the one with the other's content is not the exchange of both.
  fs::rename(two.built, two.live);
  CHECK(state_of(two.pair) == PairState::neither);
}

TEST_CASE("what is not what was noted is not exchanged, and nothing has moved") {
  TwoDirectories two;
  SUBCASE("another live directory") {
    two.pair.live_id.inode += 1'000'000'000;
  }
  SUBCASE("another built directory") {
    two.pair.built_id.inode += 1'000'000'000;
  }
  SUBCASE("of another file system") {
    two.pair.live_id.device += 1;
  }
  const Thrown thrown = thrown_by([&] { exchange(two.pair); });
  CHECK(thrown.kind == ErrorKind::capture);
  CHECK(thrown.message ==
        two.live + " and " + two.built + " are not the directories that they were");
  CHECK(two.is_before());
}

TEST_CASE("one that is gone is not exchanged") {
  const TwoDirectories two;
  fs::rename(two.built, two.temp / "aside");
  CHECK(thrown_by([&] { exchange(two.pair); }).kind == ErrorKind::capture);
  CHECK(read_file(two.live + "/name") == "live");
  CHECK_FALSE(fs::exists(two.built));
}

TEST_CASE("nothing is exchanged in a directory where others can write") {
  const TwoDirectories two;
  fs::permissions(two.temp.path(), fs::perms(0777));
  CHECK(thrown_by([&] { exchange(two.pair); }).kind == ErrorKind::capture);
  CHECK(two.is_before());
  fs::permissions(two.temp.path(), fs::perms(0700));
  exchange(two.pair);
  CHECK(two.is_exchanged());
}

TEST_CASE("only a directory can be exchanged") {
  const TwoDirectories two;
  CHECK_FALSE(refused(two.live).kind);
  CHECK_FALSE(thrown_by([&] { require_exchangeable(two.live, two.built); }).kind);

  const Thrown file = refused(two.live + "/name");
  CHECK(file.kind == ErrorKind::capture);
  CHECK(file.message == two.live + "/name is not a directory");

  fs::create_directory_symlink(two.live, two.temp / "link");
  const Thrown link = refused(two.temp / "link");
  CHECK(link.kind == ErrorKind::capture);
  CHECK(link.message == two.temp / "link" + " is not a directory");

  for (const std::string& missing : {two.temp / "missing", two.temp / "missing/below"}) {
    const Thrown thrown = refused(missing);
    CHECK(thrown.kind == ErrorKind::capture);
    CHECK(contains(thrown.message, "No such file or directory"));
  }
  // Both of a pair are looked at.
  CHECK(thrown_by([&] { require_exchangeable(two.live, two.live + "/name"); }).kind ==
        ErrorKind::capture);
  CHECK(thrown_by([&] { require_exchangeable(two.live + "/name", two.live); }).kind ==
        ErrorKind::capture);
}

TEST_CASE("a mount point cannot be exchanged") {
  for (const char* mount : {"/proc", "/sys"}) {
    CAPTURE(mount);
    const Thrown thrown = refused(mount);
    CHECK(thrown.kind == ErrorKind::capture);
    CHECK(thrown.message ==
          std::string(mount) + " is a mount point: it cannot be exchanged in one step");
  }
}

TEST_CASE("nothing is exchangeable in a directory where others can put something in its place") {
  const TwoDirectories two;
  SUBCASE("writable by all") {
    fs::permissions(two.temp.path(), fs::perms(0777));
  }
  SUBCASE("writable by a group") {
    fs::permissions(two.temp.path(), fs::perms(0770));
  }
  SUBCASE("of another owner") {
    REQUIRE(::chown(two.temp.path().c_str(), 65534, 65534) == 0);
  }
  CHECK(refused(two.live).kind == ErrorKind::capture);
  REQUIRE(::chown(two.temp.path().c_str(), 0, 0) == 0);
  fs::permissions(two.temp.path(), fs::perms(0755));
  CHECK_FALSE(refused(two.live).kind);
}

TEST_CASE("what a directory itself allows to others does not matter") {
  const TwoDirectories two;
  REQUIRE(::chown(two.live.c_str(), 999, 999) == 0);
  fs::permissions(two.live, fs::perms(0777));
  CHECK_FALSE(refused(two.live).kind);
}

TEST_CASE("the id is that of a link itself, and nothing where nothing is") {
  const TwoDirectories two;
  fs::create_directory_symlink(two.live, two.temp / "link");
  CHECK(file_id(two.temp / "link") != file_id(two.live));
  CHECK_FALSE(file_id(two.temp / "missing"));
  CHECK(file_id(two.live)->device == file_id(two.built)->device);
  CHECK(thrown_by([&] { file_id(two.live + "/name/below"); }).kind == ErrorKind::capture);
}

TEST_CASE("a pair is read from the JSON that it was written to") {
  const ExchangePair pair{"/srv/a \"b\"", "/srv/c\nd", {1, ~std::uint64_t{0} >> 1}, {2, 4}};
  const auto parsed = parse_json(dump_json(to_json(pair)));
  REQUIRE(parsed);
  const auto read = exchange_pair_from(*parsed);
  REQUIRE(read);
  CHECK(read->live == pair.live);
  CHECK(read->built == pair.built);
  CHECK(read->live_id == pair.live_id);
  CHECK(read->built_id == pair.built_id);
}

TEST_CASE("a pair without one of its fields is none") {
  const Json whole = to_json({"/a", "/b", {1, 2}, {3, 4}});
  REQUIRE(exchange_pair_from(whole));
  for (const char* key : {"live", "built", "live_id", "built_id"}) {
    CAPTURE(key);
    Json broken = whole;
    broken.erase(key);
    CHECK_FALSE(exchange_pair_from(broken));
    broken[key] = 7;
    CHECK_FALSE(exchange_pair_from(broken));
  }
  for (const char* id : {"live_id", "built_id"}) {
    for (const char* key : {"device", "inode"}) {
      CAPTURE(id);
      CAPTURE(key);
      Json broken = whole;
      broken[id].erase(key);
      CHECK_FALSE(exchange_pair_from(broken));
    }
  }
  CHECK_FALSE(exchange_pair_from(Json::array()));
  CHECK_FALSE(exchange_pair_from(nullptr));
}

TEST_CASE("a plain directory is mounted nowhere") {
  const TwoDirectories two;
  CHECK_FALSE(mounted_anywhere(two.live));
  CHECK_FALSE(mounted_anywhere(two.temp / "missing"));
}

TEST_CASE("a mount in another process's namespace is found while that process lives") {
  const TwoDirectories two;
  fs::create_directory(two.temp / "at");
  fs::create_directory(two.live + "/below");
  std::string source = two.live;
  SUBCASE("of the directory") {}
  SUBCASE("of one below it") {
    source += "/below";
  }
  {
    const std::string at = two.temp / "at";
    const Child holder(mounting(source, at));
    REQUIRE(holder.report() == "mounted");
    const auto where = mounted_anywhere(two.live);
    REQUIRE(where);
    CHECK(where->starts_with("process " + std::to_string(holder.pid()) + " ("));
    CHECK(where->ends_with(" at " + at));
    CHECK_FALSE(mounted_anywhere(two.built));
    // Nor is one whose name only begins alike, or one below that is not mounted.
    CHECK_FALSE(mounted_anywhere(two.temp / "liv"));
    CHECK(mounted_anywhere(two.temp.path()));
  }
  CHECK_FALSE(mounted_anywhere(two.live));
}

TEST_CASE("names with blanks are found, and shown as they are") {
  const pipe::test::TempDir temp;
  const std::string source = temp / "my data \\040";
  const std::string at = temp / "at a\tplace";
  fs::create_directory(source);
  fs::create_directory(at);
  CHECK_FALSE(mounted_anywhere(source));
  const Child holder(mounting(source, at));
  REQUIRE(holder.report() == "mounted");
  const auto where = mounted_anywhere(source);
  REQUIRE(where);
  CHECK(where->ends_with(" at " + at));
}

}  // namespace bba::run
