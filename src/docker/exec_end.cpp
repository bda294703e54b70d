#include "bba/docker/exec_end.hpp"

#include <charconv>
#include <chrono>
#include <csignal>
#include <dirent.h>
#include <map>
#include <optional>
#include <set>
#include <sys/types.h>
#include <thread>
#include <utility>

#include "bba/base/fd.hpp"
#include "bba/base/number.hpp"
#include "bba/base/text.hpp"

namespace bba::docker {

namespace {

std::optional<std::string> proc_file(pid_t pid, std::string_view file) {
  try {
    return read_small_file(fmt::format("/proc/{}/{}", pid, file), 1 << 20, ErrorKind::internal);
  } catch (const Error&) {
    return std::nullopt;  // the process has ended
  }
}

struct ProcessStat {
  char state = '?';
  pid_t parent = 0;

  // A zombie runs no more, but it is still its parent's child.
  bool runs() const { return state != 'Z' && state != 'X'; }
};

std::optional<ProcessStat> stat_of(pid_t pid) {
  const auto text = proc_file(pid, "stat");
  if (!text) return std::nullopt;
  // "pid (name) state ppid ...": the name may hold anything, so from the last parenthesis on.
  const std::size_t name_end = text->rfind(") ");
  if (name_end == text->npos || name_end + 4 >= text->size()) return std::nullopt;
  ProcessStat stat;
  stat.state = (*text)[name_end + 2];
  std::from_chars(text->data() + name_end + 4, text->data() + text->size(), stat.parent);
  return stat;
}

// The engine's pids are trusted only where this host's /proc agrees.
bool runs_in_container(pid_t pid, const std::string& container_id) {
  const auto stat = stat_of(pid);
  if (!stat || !stat->runs()) return false;
  const auto cgroup = proc_file(pid, "cgroup");
  return cgroup && !container_id.empty() && cgroup->find(container_id) != cgroup->npos;
}

std::map<pid_t, ProcessStat> all_processes() {
  std::map<pid_t, ProcessStat> all;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return all;
  while (const dirent* entry = ::readdir(proc)) {
    const auto pid = parse_number<pid_t>(entry->d_name);
    if (!pid) continue;
    if (const auto stat = stat_of(*pid)) all.emplace(*pid, *stat);
  }
  ::closedir(proc);
  return all;
}

// A program in a container and what it has started, ended in an order that the container's first
// process does not notice: that one inherits each process whose parent has ended, and reaps it.
// PostgreSQL's takes an unknown child that a signal has ended for a crashed backend, and
// disconnects every client. So children go before their parents, who reap them; and an orphan is
// never killed.
class Tree {
 public:
  Tree(pid_t root, std::string container_id) : root_(root), container_id_(std::move(container_id)) {
    look();
  }

  bool ended() const { return running_.empty(); }

  // Until all have ended or the time is up. Each is signalled once.
  void end_children_first(int signal, std::chrono::milliseconds limit) {
    std::set<pid_t> signalled;
    until_ended(limit, [&] {
      for (const pid_t pid : running_) {
        const bool orphan = pid != root_ && orphans_.count(pid) > 0;
        if (parents_.count(pid) > 0 || (orphan && signal == SIGKILL)) continue;
        if (signalled.insert(pid).second) ::kill(pid, signal);
      }
    });
  }

  // For a program that starts one child after another. Its last one may end by itself.
  void end_root_first(int signal, std::chrono::milliseconds limit) {
    if (running_.count(root_) > 0) ::kill(root_, signal);
    until_ended(limit, [] {});
  }

 private:
  template <typename Act>
  void until_ended(std::chrono::milliseconds limit, const Act& act) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (look(); !ended() && std::chrono::steady_clock::now() < end; look()) {
      act();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void look() {
    const auto all = all_processes();
    members_.insert(root_);
    // A child's pid may be lower than its parent's: until nothing new is found.
    for (bool found = true; found;) {
      found = false;
      for (const auto& [pid, stat] : all) {
        if (members_.count(stat.parent) > 0) found |= members_.insert(pid).second;
      }
    }
    running_.clear(), parents_.clear(), orphans_.clear();
    for (auto it = members_.begin(); it != members_.end();) {
      const auto process = all.find(*it);
      // Gone, and its pid may be reused; the root's is kept, as the root of the others.
      if (process == all.end() && *it != root_) {
        it = members_.erase(it);
        continue;
      }
      if (process != all.end()) {
        if (*it != root_) {
          const bool has_parent = members_.count(process->second.parent) > 0;
          (has_parent ? parents_ : orphans_).insert(has_parent ? process->second.parent : *it);
        }
        if (runs_in_container(*it, container_id_)) running_.insert(*it);
      }
      ++it;
    }
  }

  pid_t root_;
  std::string container_id_;
  std::set<pid_t> members_;  // also those whose parent has ended since
  std::set<pid_t> running_;
  std::set<pid_t> parents_;  // have children, zombies too
  std::set<pid_t> orphans_;
};

}  // namespace

bool end_exec(docker::Engine& engine, const std::string& exec) {
  using namespace std::chrono_literals;
  wire::ExecStatus status;
  // The engine notices a little later that a program has ended, so one that is not here is believed
  // to be elsewhere only after a while. And one that is just starting does not run yet either: only
  // an exit code shows that it has ended.
  const auto patience = std::chrono::steady_clock::now() + 1s;
  for (;;) {
    try {
      status = engine.inspect_exec(exec);
    } catch (const docker::ApiError& error) {
      if (error.status() == 404) return true;
      throw;
    }
    if (!status.running && status.exit_code) return true;
    if (status.pid > 1 && runs_in_container(static_cast<pid_t>(status.pid), status.container_id)) {
      break;
    }
    // One that does not run and has no exit code by now was never started.
    if (std::chrono::steady_clock::now() > patience) return !status.running;
    std::this_thread::sleep_for(20ms);
  }

  const auto pid = static_cast<pid_t>(status.pid);
  Tree tree(pid, status.container_id);
  tree.end_children_first(SIGTERM, 2s);
  tree.end_root_first(SIGTERM, 500ms);
  tree.end_children_first(SIGTERM, 500ms);
  tree.end_children_first(SIGKILL, 1s);
  tree.end_root_first(SIGKILL, 1s);
  return tree.ended();
}

docker::ExecResult run_or_end(docker::Engine& engine, const std::string& container,
                              const wire::ExecConfig& config, std::size_t output_limit) {
  const std::string exec = engine.create_exec(container, config);
  try {
    return engine.run_exec(exec, config.argv.front(), output_limit);
  } catch (...) {
    try {
      docker::Engine patient = engine.unstoppable({});
      end_exec(patient, exec);
    } catch (const Error&) {  // the first error is reported
    }
    throw;
  }
}

}  // namespace bba::docker
