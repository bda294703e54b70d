#include "bba/run/guard.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include "bba/docker/engine.hpp"
#include "bba/run/cleanup.hpp"

namespace bba::run {

namespace {

constexpr std::chrono::seconds longest_pause{16};

}  // namespace

void start_guard(const std::string& state_directory, const std::string& journal) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  // It holds nothing of the run's open: whoever reads the run's output must see it end with the
  // run.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  }
  // Nor what the run was given: a wrapper's lock (flock -n 9) must not be held on.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  // A session of its own: no signal to the run's process group or terminal reaches it.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);

  std::string program = "backup-before-apply";
  std::string command = "__guard";
  std::string state = state_directory;
  std::string lock = journal;
  char* const argv[] = {program.data(), command.data(), state.data(), lock.data(), nullptr};
  // The operator's environment may hold secrets; the guard needs none of it.
  char* const environment[] = {nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw system_error(ErrorKind::internal, "starting the guard", error);
}

int guard_main(const std::string& state_directory, const std::string& journal) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
  {
    const Fd file(::open(journal.c_str(), O_RDWR | O_CLOEXEC));
    if (!file) return 0;  // the run has ended, with nothing left to undo
    while (::flock(file.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return 1;
    }
  }
  docker::Limits limits;
  limits.silence = std::chrono::seconds(20);
  // An engine that is just restarting answers again before long. Between two rounds nothing is
  // locked, so `recover` need not wait for this.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  for (auto pause = std::chrono::seconds(1);; pause = std::min(2 * pause, longest_pause)) {
    try {
      undo_abandoned(store::abandoned_journals(state_directory), limits, nullptr);
    } catch (const std::exception&) {
      // There is nobody to report it to, and the next round may succeed.
    }
    if (::access(journal.c_str(), F_OK) != 0 && errno == ENOENT) return 0;
    if (std::chrono::steady_clock::now() > patience) return 1;
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace bba::run
