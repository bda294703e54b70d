#include "bba/store/lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "unit/store/support.hpp"

using namespace bba;
using namespace bba::store;
using namespace test;

namespace {

std::string try_lock(const std::string& directory, const std::string& module) {
  return error_of([&] { const ModuleLock lock(directory, module); });
}

}  // namespace

TEST_CASE("one run at a time has a module's lock, named by its pid; SIGKILL frees it") {
  const TempDir temp;
  Child holder([&]() -> std::string {
    static const ModuleLock lock(temp / "state", "postgres");
    return "held";
  });
  REQUIRE(holder.report() == "held");
  CHECK(try_lock(temp / "state", "postgres") ==
        fmt::format("error busy: another run holds module postgres (pid {}) | wait until it has "
                    "ended, or look at it with: ps -p {}",
                    holder.pid(), holder.pid()));
  CHECK(try_lock(temp / "state", "redis") == "no error");
  holder.kill();
  CHECK(try_lock(temp / "state", "postgres") == "no error");
}

TEST_CASE("a lock ends with its owner, and its file stays") {
  const TempDir temp;
  for (int i = 0; i < 2; ++i) {
    const ModuleLock lock(temp.path(), "vault");
    CHECK(try_lock(temp.path(), "vault").starts_with("error busy: "));
    CHECK(read_file(temp / "vault.lock") == fmt::format("{}\n", ::getpid()));
  }
  CHECK(names_in(temp.path()) == std::vector<std::string>{"vault.lock"});
}

TEST_CASE("the message has no pid while the owner of the lock has not written it yet") {
  const TempDir temp;
  const ModuleLock lock(temp.path(), "vault");
  REQUIRE(::truncate((temp / "vault.lock").c_str(), 0) == 0);
  CHECK(try_lock(temp.path(), "vault") ==
        "error busy: another run holds module vault | wait until it has ended");
}

TEST_CASE("a longer pid of an earlier owner is overwritten completely") {
  const TempDir temp;
  write_file(temp / "vault.lock", "12345678901234567890\n");
  const ModuleLock lock(temp.path(), "vault");
  CHECK(read_file(temp / "vault.lock") == fmt::format("{}\n", ::getpid()));
}

TEST_CASE("a program that was started meanwhile does not keep the lock") {
  const TempDir temp;
  const ModuleLock lock(temp.path(), "vault");
  bool found = false;
  for (int fd = 0; fd < 256; ++fd) {
    struct stat status {};
    struct stat wanted {};
    if (::fstat(fd, &status) != 0) continue;
    REQUIRE(::stat((temp / "vault.lock").c_str(), &wanted) == 0);
    if (status.st_ino != wanted.st_ino || status.st_dev != wanted.st_dev) continue;
    found = true;
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(found);
}

TEST_CASE("the state directory is created 0700, and checked like the backup directory") {
  const TempDir temp;
  CHECK(try_lock(temp / "a/state", "vault") == "no error");
  CHECK(mode_of(temp / "a/state") == 0700);
  CHECK(mode_of(temp / "a/state/vault.lock") == 0600);
  REQUIRE(::chmod((temp / "a/state").c_str(), 0777) == 0);
  CHECK(try_lock(temp / "a/state", "vault").starts_with("error storage: "));
  write_file(temp / "file", "");
  CHECK(try_lock(temp / "file", "vault").starts_with("error storage: "));
}

TEST_CASE("a lock that is a symlink, or a module that is a path, is refused") {
  const TempDir temp;
  REQUIRE(::symlink("elsewhere", (temp / "vault.lock").c_str()) == 0);
  CHECK(try_lock(temp.path(), "vault").starts_with("error storage: "));
  for (const std::string module : {"", "..", "../vault", "a/b", "Vault"}) {
    CHECK(try_lock(temp.path(), module).starts_with("error config: "));
  }
}
