#include "bba/store/artifact_file.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/store/support.hpp"

using namespace bba;
using namespace bba::store;
using namespace test;
using Names = std::vector<std::string>;

namespace {

std::string shown(const Names& names) {
  return "[" + join(names, ",") + "]";
}

// A child in which no filesystem has O_TMPFILE.
void lose_tmpfile(int error_number = EOPNOTSUPP) {
  fail_system_call(SYS_openat, error_number, static_cast<unsigned>(O_TMPFILE));
}

}  // namespace

TEST_CASE("a missing backup directory is created for its owner alone, whatever the umask") {
  for (const mode_t mask : {0u, 022u, 0777u}) {
    const TempDir temp;
    const std::string path = temp / "backups";
    const mode_t before = ::umask(mask);
    const std::string error = error_of([&] { OwnedDirectory::open_or_create(path + "//"); });
    ::umask(before);
    CHECK(error == "no error");
    CHECK(mode_of(path) == 0700);
  }
}

TEST_CASE("missing parents are created, readable for others") {
  const TempDir temp;
  const mode_t before = ::umask(0);
  const auto directory = OwnedDirectory::open_or_create(temp / "a/b/backups");
  ::umask(before);
  CHECK(directory.path() == temp / "a/b/backups");
  CHECK(mode_of(temp / "a") == 0755);
  CHECK(mode_of(temp / "a/b") == 0755);
  CHECK(mode_of(temp / "a/b/backups") == 0700);
}

TEST_CASE("a relative path, and a parent that is not a directory, are errors") {
  const TempDir temp;
  write_file(temp / "file", "x");
  CHECK(error_of([&] { OwnedDirectory::open_or_create(temp / "file"); }).find("Not a directory") !=
        std::string::npos);
  CHECK(error_of([&] {
          OwnedDirectory::open_or_create(temp / "file/below");
        }).starts_with("error storage: "));
  CHECK(error_of([&] { OwnedDirectory::open_or_create(""); }).starts_with("error storage: "));
  CHECK(in_child([&]() -> std::string {
          if (::chdir(temp.path().c_str()) != 0) return "chdir failed";
          OwnedDirectory::open_or_create("relative");
          return shown(names_in("."));
        }) == "[file,relative]");
}

TEST_CASE("a directory that others can write to is refused") {
  const TempDir temp;
  for (const mode_t mode : {0720u, 0702u, 0777u, 01777u}) {
    REQUIRE(::chmod(temp.path().c_str(), mode) == 0);
    const std::string wanted = fmt::format(
        "error storage: {}: can be written by others than its owner (mode {:04o}) | chmod go-w {}",
        temp.path(), mode, temp.path());
    CHECK(error_of([&] { OwnedDirectory::open_or_create(temp.path()); }) == wanted);
    CHECK(error_of([&] { OwnedDirectory::open_existing(temp.path()); }) == wanted);
    CHECK(error_of([&] { OwnedDirectory::open_copy(temp.path()); }) == "no error");
  }
  REQUIRE(::chmod(temp.path().c_str(), 0755) == 0);
  CHECK(error_of([&] { OwnedDirectory::open_or_create(temp.path()); }) == "no error");
}

TEST_CASE("a directory that another user owns is refused") {
  const TempDir temp;
  std::string foreign = "/usr";
  if (::geteuid() == 0) {
    foreign = temp / "foreign";
    REQUIRE(::mkdir(foreign.c_str(), 0700) == 0);
    REQUIRE(::chown(foreign.c_str(), 12345, 12345) == 0);
  }
  CHECK(error_of([&] { OwnedDirectory::open_or_create(foreign); }).find("belongs to user id") !=
        std::string::npos);
  CHECK(error_of([&] { OwnedDirectory::open_existing(foreign); }).find("belongs to user id") !=
        std::string::npos);
  CHECK(error_of([&] { OwnedDirectory::open_copy(foreign); }) == "no error");
}

TEST_CASE("a symlinked backup directory is followed, and its target is checked") {
  const TempDir temp;
  REQUIRE(::mkdir((temp / "target").c_str(), 0700) == 0);
  std::filesystem::create_directory_symlink(temp / "target", temp / "link");
  CHECK(error_of([&] { OwnedDirectory::open_or_create(temp / "link"); }) == "no error");
  REQUIRE(::chmod((temp / "target").c_str(), 0770) == 0);
  CHECK(error_of([&] { OwnedDirectory::open_or_create(temp / "link"); }).find("mode 0770") !=
        std::string::npos);
}

TEST_CASE("a reading command never creates the directory") {
  const TempDir temp;
  CHECK(error_of([&] { OwnedDirectory::open_existing(temp / "none"); }) ==
        "error storage: " + temp / "none" +
            ": No such file or directory | no backup was taken there yet");
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("a directory contains, opens and removes names, and refuses paths") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  write_file(temp / "a", "content");
  CHECK(directory.contains("a"));
  CHECK_FALSE(directory.contains("b"));
  CHECK(read_rest(directory.open_file("a").get(), 100, ErrorKind::storage, "a") == "content");
  CHECK(directory.free_bytes() > 0);
  directory.sync();
  directory.remove("a");
  CHECK_FALSE(directory.contains("a"));
  directory.remove("a");  // gone already
  for (const std::string name : {"", ".", "..", "../a", "x/y", "/etc/passwd"}) {
    CHECK(error_of([&] { directory.remove(name); }).starts_with("error internal: "));
    CHECK(error_of([&] { (void)directory.contains(name); }).starts_with("error internal: "));
    CHECK(error_of([&] { (void)directory.open_file(name); }).starts_with("error internal: "));
  }
}

TEST_CASE("only a regular file is opened, not a symlink, a FIFO or a directory") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  write_file(temp / "real", "x");
  std::filesystem::create_symlink("real", temp / "link");
  REQUIRE(::mkfifo((temp / "fifo").c_str(), 0600) == 0);
  REQUIRE(::mkdir((temp / "dir").c_str(), 0700) == 0);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (temp / "socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  for (const std::string name : {"link", "fifo", "dir", "socket"}) {
    CAPTURE(name);
    CHECK(error_of([&] {
            (void)directory.open_file(name);
          }).starts_with("error artifact: " + temp / name + ": not a regular file"));
  }
  CHECK(error_of([&] { (void)directory.open_file("missing"); }).starts_with("error artifact: "));
  // A missing permission says nothing about the file.
  const std::string report = in_child([&]() -> std::string {
    fail_system_call(SYS_openat, EACCES);
    return error_of([&] { (void)directory.open_file("real"); });
  });
  CHECK(report.starts_with("error storage: "));
}

TEST_CASE("a file has no name before publish, and then is complete, ours and 0600") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  const mode_t before = ::umask(0);
  {
    ArtifactFile file(directory);
    CHECK(file.unnamed());
    CHECK(names_in(temp.path()).empty());
    file.write(as_bytes("one "));
    CHECK(names_in(temp.path()).empty());
    file.write(as_bytes("two"));
    file.sync();
    CHECK(file.bytes() == 7);
    CHECK(names_in(temp.path()).empty());
    file.publish("set.sql.gz");
    CHECK(names_in(temp.path()) == Names{"set.sql.gz"});
  }
  directory.sync();
  ::umask(before);
  CHECK(read_file(temp / "set.sql.gz") == "one two");
  CHECK(mode_of(temp / "set.sql.gz") == 0600);
}

TEST_CASE("a umask that forbids everything does not change the mode") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  const mode_t before = ::umask(0777);
  ArtifactFile file(directory);
  file.sync();
  file.publish("a");
  ::umask(before);
  CHECK(mode_of(temp / "a") == 0600);
}

TEST_CASE("a file that is not published is gone") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  {
    ArtifactFile file(directory);
    file.write(as_bytes("lost"));
    file.sync();
    const ArtifactFile moved = std::move(file);
    CHECK(moved.bytes() == 4);
  }
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("a name that is taken is never replaced") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  write_file(temp / "taken", "old");
  ArtifactFile file(directory);
  file.write(as_bytes("new"));
  file.sync();
  CHECK(error_of([&] { file.publish("taken"); }) ==
        "error storage: " + temp / "taken" +
            ": a file of this name exists already | nothing was replaced; run the command again");
  CHECK(read_file(temp / "taken") == "old");
  file.publish("free");  // it can still have another one
  CHECK(read_file(temp / "free") == "new");
  std::filesystem::create_symlink("nowhere", temp / "dangling");
  ArtifactFile second(directory);
  second.sync();
  CHECK(error_of([&] { second.publish("dangling"); }).find("exists already") != std::string::npos);
}

TEST_CASE("a file gets no name before it is synced, and no second one") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  ArtifactFile file(directory);
  CHECK(error_of([&] { file.publish("a"); }).starts_with("error internal: "));
  file.sync();
  file.write(as_bytes("late"));
  CHECK(error_of([&] { file.publish("a"); }).starts_with("error internal: "));
  file.sync();
  for (const std::string name : {"", ".hidden", "..", "x/y", "../a"}) {
    CHECK(error_of([&] { file.publish(name); }).starts_with("error internal: "));
  }
  CHECK(names_in(temp.path()).empty());
  file.publish("a");
  CHECK(error_of([&] { file.publish("b"); }).starts_with("error internal: "));
  CHECK(names_in(temp.path()) == Names{"a"});
}

TEST_CASE("a file that is larger than a write-back step is complete") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  ArtifactFile file(directory);
  const std::string block(3'000'001, 'x');
  std::string whole;
  for (int i = 0; i < 6; ++i) {
    file.write(as_bytes(block));
    file.write(as_bytes(std::to_string(i)));
    whole += block + std::to_string(i);
  }
  file.sync();
  REQUIRE(::lseek(file.fd(), 0, SEEK_SET) == 0);
  CHECK(read_rest(file.fd(), 32 << 20, ErrorKind::storage, "artifact") == whole);
  CHECK(file.bytes() == whole.size());
}

TEST_CASE("SIGKILL in the middle leaves no file") {
  const TempDir temp;
  Child child([&]() -> std::string {
    const auto directory = OwnedDirectory::open_existing(temp.path());
    ArtifactFile file(directory);
    file.write(as_bytes(std::string(1 << 20, 'x')));
    file.sync();
    return shown(names_in(temp.path()));
  });
  CHECK(child.report() == "[]");
  child.kill();
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("a file that may not grow is an error, and nothing gets a name") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return "setrlimit failed";
    const auto directory = OwnedDirectory::open_existing(temp.path());
    return error_of([&] {
      ArtifactFile file(directory);
      for (int i = 0; i < 3; ++i) file.write(as_bytes(std::string(600'000, 'x')));
    });
  });
  CHECK(report ==
        "error storage: writing to " + temp.path() +
            ": File too large | a limit on the size of files is in force: see `ulimit -f`");
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("a full disk is an error with a hint, and nothing gets a name") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    // A filesystem of 1 MiB in a mount namespace of the child's own.
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", temp.path().c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) {
      return "no mount";
    }
    const auto directory = OwnedDirectory::open_existing(temp.path());
    const std::string error = error_of([&] {
      ArtifactFile file(directory);
      for (int i = 0; i < 3; ++i) file.write(as_bytes(std::string(600'000, 'x')));
    });
    return error + " " + shown(names_in(temp.path()));
  });
  if (report == "no mount") {
    std::puts("SKIP: this process may not mount a small tmpfs");
    return;
  }
  CHECK(report ==
        "error storage: writing to " + temp.path() +
            ": No space left on device | free space on that filesystem, or choose another place "
            "with --backup-dir []");
}

TEST_CASE("an fsync that fails is an error, and nothing gets a name") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    const auto directory = OwnedDirectory::open_existing(temp.path());
    fail_system_call(SYS_fsync, EIO);
    ArtifactFile file(directory);
    file.write(as_bytes("x"));
    return error_of([&] { file.sync(); }) + "\n" + error_of([&] { file.publish("a"); }) + "\n" +
           error_of([&] { directory.sync(); }) + "\n" + shown(names_in(temp.path()));
  });
  const auto lines = split(report, '\n');
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "error storage: syncing a file in " + temp.path() + ": Input/output error | ");
  CHECK(lines[1].starts_with("error internal: "));
  CHECK(lines[2] == "error storage: syncing " + temp.path() + ": Input/output error | ");
  CHECK(lines[3] == "[]");
}

TEST_CASE("a link that fails is an error that says so") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    const auto directory = OwnedDirectory::open_existing(temp.path());
    fail_system_call(SYS_linkat, EROFS);
    ArtifactFile file(directory);
    file.sync();
    return error_of([&] { file.publish("a"); });
  });
  CHECK(report.starts_with("error storage: publishing " + temp / "a" + ": Read-only file system"));
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("without O_TMPFILE: a dot-file that is published or removed") {
  for (const int number : {EOPNOTSUPP, EISDIR, EINVAL, ENOENT}) {
    const TempDir temp;
    const std::string report = in_child([&]() -> std::string {
      const auto directory = OwnedDirectory::open_existing(temp.path());
      lose_tmpfile(number);
      std::string steps;
      {
        ArtifactFile abandoned(directory);
        const Names names = names_in(temp.path());
        steps +=
            fmt::format("{}{}{}", names.size(), is_partial_name(names.at(0)), abandoned.unnamed());
      }
      steps += shown(names_in(temp.path()));
      const mode_t before = ::umask(0);
      ArtifactFile first(directory);
      ::umask(before);
      ArtifactFile file(std::move(first));
      file.write(as_bytes("content"));
      file.sync();
      file.publish("a");
      return steps + shown(names_in(temp.path()));
    });
    CHECK(report == "1truefalse[][a]");
    CHECK(read_file(temp / "a") == "content");
    CHECK(mode_of(temp / "a") == 0600);
  }
}

TEST_CASE("without O_TMPFILE: a dot-file that cannot be locked is an error, and is removed") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    const auto directory = OwnedDirectory::open_existing(temp.path());
    lose_tmpfile();
    fail_system_call(SYS_flock, ENOLCK);
    return error_of([&] { const ArtifactFile file(directory); });
  });
  CHECK(report.starts_with("error storage: locking a file in " + temp.path() +
                           ": No locks available"));
  CHECK(names_in(temp.path()).empty());
}

TEST_CASE("without O_TMPFILE: a name that is taken is never replaced") {
  for (const bool can_rename : {true, false}) {
    const TempDir temp;
    write_file(temp / "taken", "old");
    const std::string report = in_child([&]() -> std::string {
      const auto directory = OwnedDirectory::open_existing(temp.path());
      lose_tmpfile();
      if (!can_rename) fail_system_call(SYS_renameat2, EINVAL);
      std::string error;
      {
        ArtifactFile file(directory);
        file.sync();
        error = error_of([&] { file.publish("taken"); });
      }
      ArtifactFile second(directory);
      second.sync();
      second.publish("free");
      return error + shown(names_in(temp.path()));
    });
    CAPTURE(report);
    CHECK(report.find("exists already") != std::string::npos);
    CHECK(report.ends_with("[free,taken]"));
    CHECK(read_file(temp / "taken") == "old");
  }
}

TEST_CASE("a directory that refuses new files is an error, not a reason for a dot-file") {
  const TempDir temp;
  const std::string report = in_child([&]() -> std::string {
    const auto directory = OwnedDirectory::open_existing(temp.path());
    lose_tmpfile(EROFS);
    return error_of([&] { const ArtifactFile file(directory); });
  });
  CHECK(report.starts_with("error storage: creating a file in " + temp.path() +
                           ": Read-only file system"));
}

TEST_CASE("a small file is replaced as a whole, with its mode") {
  const TempDir temp;
  const auto directory = OwnedDirectory::open_existing(temp.path());
  const mode_t before = ::umask(077);
  replace_file(directory.fd(), temp / "proof.json", "one", 0644);
  CHECK(read_file(temp / "proof.json") == "one");
  CHECK(mode_of(temp / "proof.json") == 0644);
  const Fd reader(::open((temp / "proof.json").c_str(), O_RDONLY | O_CLOEXEC));
  // The open directory counts, not what the path leads to.
  replace_file(directory.fd(), "/nowhere/proof.json", "two", 0600);
  ::umask(before);
  CHECK(read_rest(reader.get(), 100, ErrorKind::storage, "proof") == "one");
  CHECK(read_file(temp / "proof.json") == "two");
  CHECK(mode_of(temp / "proof.json") == 0600);
  CHECK(names_in(temp.path()) == Names{"proof.json"});
}

TEST_CASE("a replacement that fails leaves the old file and nothing else") {
  const TempDir temp;
  write_file(temp / "proof.json", "old");
  const auto directory = OwnedDirectory::open_existing(temp.path());
  for (const int call : {SYS_fsync, SYS_renameat, SYS_fchmod, SYS_write}) {
    CAPTURE(call);
    const std::string report = in_child([&]() -> std::string {
      fail_system_call(call, ENOSPC);
      return error_of([&] { replace_file(directory.fd(), temp / "proof.json", "new", 0644); });
    });
    CHECK(report.starts_with("error storage: writing " + temp / "proof.json" +
                             ": No space left on device"));
    CHECK(names_in(temp.path()) == Names{"proof.json"});
    CHECK(read_file(temp / "proof.json") == "old");
  }
  REQUIRE(::mkdir((temp / "directory").c_str(), 0700) == 0);
  CHECK(error_of([&] {
          replace_file(directory.fd(), temp / "directory", "new", 0644);
        }).starts_with("error storage: "));
  CHECK(names_in(temp.path()) == Names{"directory", "proof.json"});
}

TEST_CASE("only our own dot-files are recognised by their names") {
  CHECK(is_partial_name(".bba-0123456789abcdef.partial"));
  CHECK_FALSE(is_partial_name(".bba-.partial"));
  CHECK_FALSE(is_partial_name("bba-1.partial"));
  CHECK_FALSE(is_partial_name(".bba-1.partial.gz"));
  CHECK_FALSE(is_partial_name(""));
}
