#include "bba/ops/exec_end.hpp"

#include <charconv>
#include <chrono>
#include <csignal>
#include <dirent.h>
#include <map>
#include <sys/types.h>
#include <thread>
#include <vector>

#include "bba/base/fd.hpp"
#include "bba/base/text.hpp"

namespace bba::ops {

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

// Whether `pid` runs in that container. The engine's pids are trusted only where this host's /proc
// agrees; a zombie runs no more.
bool runs_in_container(pid_t pid, const std::string& container_id) {
  const auto stat = stat_of(pid);
  if (!stat || stat->state == 'Z' || stat->state == 'X') return false;
  const auto cgroup = proc_file(pid, "cgroup");
  return cgroup && !container_id.empty() && cgroup->find(container_id) != cgroup->npos;
}

std::vector<pid_t> with_descendants(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return {root};
  while (const dirent* entry = ::readdir(proc)) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto stat = stat_of(pid)) children.emplace(stat->parent, pid);
  }
  ::closedir(proc);
  std::vector<pid_t> tree{root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto [begin, end] = children.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) tree.push_back(child->second);
  }
  return tree;
}

}  // namespace

bool end_exec(docker::Engine& engine, const std::string& exec) {
  using namespace std::chrono_literals;
  std::vector<pid_t> tree;
  wire::ExecStatus status;
  const auto signal_tree = [&](int signal) {
    for (const pid_t pid : tree) {
      if (runs_in_container(pid, status.container_id)) ::kill(pid, signal);
    }
  };
  const auto tree_ended = [&] {
    for (const pid_t pid : tree) {
      if (runs_in_container(pid, status.container_id)) return false;
    }
    return true;
  };
  try {
    status = engine.inspect_exec(exec);
  } catch (const docker::ApiError& error) {
    if (error.status() == 404) return true;
    throw;
  }
  if (!status.running) return true;
  const auto pid = static_cast<pid_t>(status.pid);
  if (pid <= 1 || !runs_in_container(pid, status.container_id)) return false;
  tree = with_descendants(pid);

  signal_tree(SIGTERM);
  const auto patience = std::chrono::steady_clock::now() + 2s;
  while (!tree_ended() && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(20ms);
  }
  if (!tree_ended()) {
    signal_tree(SIGKILL);
    const auto last = std::chrono::steady_clock::now() + 2s;
    while (!tree_ended() && std::chrono::steady_clock::now() < last) {
      std::this_thread::sleep_for(20ms);
    }
  }
  return tree_ended();
}

}  // namespace bba::ops
