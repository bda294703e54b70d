#include "bba/store/journal.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <signal.h>
#include <string>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/store/support.hpp"

using namespace bba;
using namespace bba::store;
using namespace test;
using Entries = std::vector<JournalEntry>;

namespace {

const std::string host = "unix:///var/run/docker.sock";
const JournalEntry kuma{CleanupKind::paused, "c0ffee", "uptime-kuma"};
const JournalEntry forgejo{CleanupKind::stopped, "beef", "forgejo"};

// The journal of a run that was killed when `content` was in it.
std::string dead_journal(const TempDir& temp, const std::string& content) {
  const std::string path = temp / "4711-1.journal";
  write_file(path, content);
  return path;
}

}  // namespace

TEST_CASE("a killed run that recorded two entries and completed one leaves exactly one") {
  const TempDir temp;
  Child run([&]() -> std::string {
    static Journal journal(temp / "state", host);
    journal.record(kuma);
    journal.record(forgejo);
    journal.complete(kuma);
    return "ready";
  });
  REQUIRE(run.report() == "ready");
  CHECK(mode_of(temp / "state") == 0700);
  CHECK(abandoned_journals(temp / "state").empty());  // it is alive
  run.kill();
  const auto left = abandoned_journals(temp / "state");
  REQUIRE(left.size() == 1);
  CHECK(left[0].host == host);
  CHECK(left[0].entries == Entries{forgejo});
  CHECK(left[0].path.starts_with(fmt::format("{}/", temp / "state")));
  forget(left[0]);
  CHECK(names_in(temp / "state").empty());
  forget(left[0]);  // gone already
}

TEST_CASE("a dead run's journal that another process has locked is reported, a live run's is not") {
  const TempDir temp;
  const pid_t dead = [] {
    Child run([]() -> std::string { return "ready"; });
    return run.pid();  // killed, and waited for
  }();
  const std::string being_undone = temp / fmt::format("{}-1.journal", dead);
  Journal alive(temp.path(), host);
  write_file(being_undone, R"({"host":"h"})");
  const Fd guard(::open(being_undone.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(::flock(guard.get(), LOCK_EX) == 0);
  std::vector<std::string> paths;
  CHECK(abandoned_journals(temp.path(), &paths).empty());
  CHECK(paths == std::vector<std::string>{being_undone});

  // A zombie has ended as well.
  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(0);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT) == 0);
  const std::string of_zombie = temp / fmt::format("{}-1.journal", zombie);
  std::filesystem::rename(being_undone, of_zombie);
  paths.clear();
  abandoned_journals(temp.path(), &paths);
  CHECK(paths == std::vector<std::string>{of_zombie});
  CHECK(::waitpid(zombie, nullptr, 0) == zombie);
}

TEST_CASE("the state directory is accessible to its owner alone, and its parents to others") {
  const TempDir temp;
  const mode_t before = ::umask(077);
  const std::string error = error_of([&] { const Journal journal(temp / "lib/bba/state", host); });
  ::umask(before);
  CHECK(error == "no error");
  CHECK(mode_of(temp / "lib/bba/state") == 0700);
  // The directory of the public proofs is beside it.
  CHECK(mode_of(temp / "lib/bba") == 0755);
  CHECK(mode_of(temp / "lib") == 0755);
}

TEST_CASE("a live run's journal is shown to nobody, not even to its own process") {
  const TempDir temp;
  Journal journal(temp.path(), host);
  journal.record(kuma);
  CHECK(journal.open() == Entries{kuma});
  CHECK(abandoned_journals(temp.path()).empty());
  CHECK(names_in(temp.path()).size() == 1);
}

TEST_CASE("a journal without open entries is removed; otherwise it stays for recover") {
  const TempDir temp;
  {
    Journal journal(temp.path(), host);
    CHECK(names_in(temp.path()).size() == 1);
    CHECK(mode_of(journal.path()) == 0600);
    journal.record(kuma);
    journal.complete(kuma);
    CHECK(journal.open().empty());
  }
  CHECK(names_in(temp.path()).empty());
  {
    Journal journal(temp.path(), host);
    journal.record(kuma);
  }
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == Entries{kuma});
}

TEST_CASE("two journals of one process are two files") {
  const TempDir temp;
  const Journal first(temp.path(), host);
  const Journal second(temp.path(), host);
  CHECK(first.path() != second.path());
  CHECK(names_in(temp.path()).size() == 2);
}

TEST_CASE("every kind of entry and every odd name is read back as it was written") {
  const TempDir temp;
  Entries recorded;
  for (const CleanupKind kind : {CleanupKind::paused, CleanupKind::stopped, CleanupKind::exec,
                                 CleanupKind::scratch, CleanupKind::restore}) {
    CHECK_FALSE(name(kind).empty());
    recorded.push_back({kind, "id\n\"1\"\\", "a name\nof two lines {\"owe\":\"paused\"} \xc3\xa9"});
  }
  {
    Journal journal(temp.path(), "tcp://\"x\"\n");
    for (const JournalEntry& entry : recorded) journal.record(entry);
  }
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == recorded);
  CHECK(left[0].host == "tcp://\"x\"\n");
}

TEST_CASE("an entry of the same thing takes the place of the earlier one, with its details") {
  const TempDir temp;
  JournalEntry restore{CleanupKind::restore, "forgejo-1", "forgejo", Json{{"phase", "building"}}};
  const JournalEntry building = restore;
  restore.details = Json{{"phase", "started"}, {"list", Json::array({1, "\n\"x\"", nullptr})}};
  {
    Journal journal(temp.path(), host);
    journal.record(kuma);
    journal.record(building);
    REQUIRE(journal.open().size() == 2);
    CHECK(journal.open()[1].details == building.details);
    journal.record(restore);
    CHECK(journal.open() == Entries{kuma, restore});
    CHECK(journal.open()[1].details == restore.details);
  }
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == Entries{kuma, restore});
  CHECK(left[0].entries.at(0).details.is_null());
  CHECK(left[0].entries.at(1).details == restore.details);
}

TEST_CASE("a torn line leaves the earlier details of an entry") {
  const TempDir temp;
  dead_journal(temp, R"({"host":"h"})"
                     "\n"
                     R"({"owe":"restore","id":"1","name":"db","details":{"phase":"building"}})"
                     "\n"
                     R"({"owe":"restore","id":"1","name":"db","details":{"phase":"exch)");
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  REQUIRE(left[0].entries.size() == 1);
  CHECK(left[0].entries[0].details == Json{{"phase", "building"}});
}

TEST_CASE("an entry is completed whatever its details, and however often it was recorded") {
  const TempDir temp;
  const JournalEntry building{CleanupKind::restore, "1", "db", Json{{"phase", "building"}}};
  const JournalEntry proven{CleanupKind::restore, "1", "db", Json{{"phase", "proven"}}};
  {
    Journal journal(temp.path(), host);
    journal.record(kuma);
    journal.record(building);
    journal.record(proven);
    journal.complete(building);
    CHECK(journal.open() == Entries{kuma});
  }
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == Entries{kuma});
  forget(left[0]);
  {
    Journal journal(temp.path(), host);
    journal.record(building);
    journal.record(proven);
    journal.complete(proven);
    CHECK(journal.open().empty());
  }
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("completing what is not open is not an error, and completing removes only one entry") {
  const TempDir temp;
  {
    Journal journal(temp.path(), host);
    journal.complete(forgejo);
    journal.record(kuma);
    journal.record(forgejo);
    journal.complete(forgejo);
    journal.complete(forgejo);
    CHECK(journal.open() == Entries{kuma});
  }
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == Entries{kuma});
}

TEST_CASE("a journal is truncated whenever no entry is open, and then written on") {
  const TempDir temp;
  Journal journal(temp.path(), host);
  const auto at_start = read_file(journal.path());
  for (int i = 0; i < 20; ++i) {
    const JournalEntry exec{CleanupKind::exec, fmt::format("e{}", i), "mc in minio"};
    journal.record(exec);
    journal.record(kuma);
    journal.complete(exec);
    CHECK(journal.open() == Entries{kuma});
    journal.complete(kuma);
    CHECK(read_file(journal.path()) == at_start);
  }
  journal.record(forgejo);
  const auto text = read_file(journal.path());
  CHECK(text.find('\0') == text.npos);
  CHECK(text.size() < at_start.size() + 100);
  // The file as it would be found after a power failure.
  const std::string copy = temp / "1-1.journal";
  write_file(copy, text);
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].host == host);
  CHECK(left[0].entries == Entries{forgejo});
}

TEST_CASE("a journal that cannot be read is reported, and hides no other") {
  const TempDir temp;
  const std::string good = dead_journal(temp, R"({"owe":"paused","id":"c0ffee","name":"kuma"})");
  const std::string directory = temp / "1-1.journal";
  const std::string large = temp / "5-1.journal";
  const std::string link = temp / "6-1.journal";
  std::filesystem::create_directory(directory);
  write_file(large, "");
  std::filesystem::resize_file(large, (16 << 20) + 1);
  std::filesystem::create_symlink("/dev/null", link);
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 4);
  CHECK(left[0].trouble == directory + ": Is a directory");
  CHECK(left[1].path == good);
  CHECK(left[1].trouble == "");
  CHECK(left[1].entries.size() == 1);
  CHECK(left[2].trouble == large + ": larger than 16.0 MiB");
  CHECK(left[3].trouble.starts_with(link + ": "));
  CHECK(names_in(temp.path()).size() == 4);
}

TEST_CASE("a journal is taken over by one recover at a time") {
  const TempDir temp;
  dead_journal(temp, R"({"owe":"paused","id":"c0ffee","name":"uptime-kuma"})");
  {
    const auto first = abandoned_journals(temp.path());
    REQUIRE(first.size() == 1);
    CHECK(abandoned_journals(temp.path()).empty());
  }
  CHECK(abandoned_journals(temp.path()).size() == 1);
}

TEST_CASE("a truncated line is ignored, at the end and in the middle, wherever it was cut") {
  const std::string torn = R"({"settle":"paused","id":"c0ffee","name":"uptime-kuma"})";
  const std::string before = R"({"host":"unix:///var/run/docker.sock"})"
                             "\n"
                             R"({"owe":"paused","id":"c0ffee","name":"uptime-kuma"})";
  const std::string after = R"({"owe":"stopped","id":"beef","name":"forgejo"})";
  for (std::size_t cut = 0; cut < torn.size(); ++cut) {
    CAPTURE(cut);
    const TempDir temp;
    dead_journal(temp, before + "\n" + torn.substr(0, cut));
    auto left = abandoned_journals(temp.path());
    REQUIRE(left.size() == 1);
    CHECK(left[0].host == host);
    CHECK(left[0].entries == Entries{kuma});
    left.clear();
    dead_journal(temp, before + "\n" + torn.substr(0, cut) + "\n" + after);
    left = abandoned_journals(temp.path());
    REQUIRE(left.size() == 1);
    CHECK(left[0].entries == Entries{kuma, forgejo});
  }
}

TEST_CASE("a partly written record, on a full disk, does not spoil those after it") {
  const TempDir temp;
  Child run([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    static Journal journal(temp.path(), host);
    journal.record(kuma);
    journal.record(forgejo);
    const rlim_t size = read_file(journal.path()).size();
    const rlimit tight{size + 10, RLIM_INFINITY};
    const rlimit wide{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    const std::string error = error_of([&] { journal.record({CleanupKind::exec, "1", "x"}); });
    ::setrlimit(RLIMIT_FSIZE, &wide);
    const auto torn = read_file(journal.path()).size() - size;
    journal.complete(kuma);
    return fmt::format("{} {}", torn, error.substr(0, error.find(':')));
  });
  REQUIRE(run.report() == "10 error storage");
  run.kill();
  const auto left = abandoned_journals(temp.path());
  REQUIRE(left.size() == 1);
  CHECK(left[0].entries == Entries{forgejo});
}

TEST_CASE("an entry that cannot be written is not open") {
  for (const int call : {SYS_write, SYS_fdatasync}) {
    const TempDir temp;
    const std::string report = in_child([&]() -> std::string {
      Journal journal(temp.path(), host);
      fail_system_call(call, ENOSPC);
      const std::string error = error_of([&] { journal.record(kuma); });
      return fmt::format("{} {}", journal.open().size(), error);
    });
    CHECK(report.starts_with("0 error storage: "));
    CHECK(report.find("No space left on device") != std::string::npos);
  }
}

TEST_CASE("journals of dead runs without open entries are removed, other files are left alone") {
  const TempDir temp;
  for (const std::string& content :
       {std::string(), std::string("garbage\n\n{]"), std::string(R"({"host":"x"})"),
        std::string(R"({"owe":"something new","id":"1","name":"x"})"),
        std::string(R"({"owe":"paused","id":7})"), std::string(R"({"owe":"paused"})"),
        std::string(R"([["owe","paused"]])"), std::string(100, '[')}) {
    CAPTURE(content);
    const std::string path = dead_journal(temp, content);
    CHECK(abandoned_journals(temp.path()).empty());
    CHECK(::access(path.c_str(), F_OK) != 0);
  }
  write_file(temp / "postgres.lock", R"({"owe":"paused","id":"1","name":"x"})");
  CHECK(abandoned_journals(temp.path()).empty());
  CHECK(names_in(temp.path()) == std::vector<std::string>{"postgres.lock"});
}

TEST_CASE(
    "without a state directory there are no abandoned journals; an unreadable one is an error") {
  const TempDir temp;
  CHECK(abandoned_journals(temp / "none").empty());
  CHECK(names_in(temp.path()).empty());
  write_file(temp / "file", "");
  CHECK(error_of([&] { abandoned_journals(temp / "file"); }).starts_with("error storage: "));
  CHECK(
      error_of([&] { const Journal journal(temp / "file", host); }).starts_with("error storage: "));
}
