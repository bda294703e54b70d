// What the end-to-end tests share: programs that run and are watched, the engine as `docker` sees
// it, and what a case makes and removes again.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/fd.hpp"
#include "bba/base/json.hpp"
#include "bba/base/text.hpp"

// First line of each test case: without an engine it says so and counts as skipped.
#define NEEDS_ENGINE() \
  if (!e2e::engine_is_there()) return

namespace e2e {

using namespace bba;
using namespace std::chrono_literals;
using Strings = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

bool engine_is_there();
// unix:///..., of the engine under test.
std::string host();

// Polls until the predicate holds, and returns how long that took; throws, naming what did not
// come, when the time is up.
std::chrono::duration<double> wait_until(const std::string& what, std::chrono::milliseconds limit,
                                         const std::function<bool()>& predicate);

bool has(const std::string& text, const std::string& part);
// One of the strings in the list.
bool any_has(const Json& list, const std::string& part);

// --- programs ------------------------------------------------------------------------------------

struct Ended {
  int exit_code = 0;  // -N: ended by signal N
  std::string out;
  std::string err;
  std::uint64_t most_resident_bytes = 0;
};

struct Setting {
  std::map<std::string, std::string> environment;  // added to our own
  std::string directory;
  std::string input;
};

inline Setting with(const std::map<std::string, std::string>& environment) {
  return {environment, {}, {}};
}

// A program with its output kept. Its destructor ends the program.
class Process {
 public:
  explicit Process(const Strings& argv, const Setting& setting = {});
  Process(Process&&) = default;
  Process& operator=(Process&&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  bool running() const;
  void signal(int number) const;
  // What it wrote so far.
  std::string out() const;
  std::string err() const;
  // Throws, and ends it, when it takes longer.
  Ended wait(std::chrono::seconds limit = 120s);

 private:
  Fd pidfd_, out_, err_;
  pid_t pid_ = -1;
};

Ended run(const Strings& argv, const Setting& setting = {});
// Runs docker on the engine under test; throws with its error output when it fails. The output is
// trimmed.
std::string docker(const Strings& arguments, const std::string& input = {});

// --- this host -----------------------------------------------------------------------------------

// Every name in the directory, dot-files included, sorted; none where there is no directory.
Strings names_in(const std::string& directory);
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);

// One line for each file below `root`, by path: type, mode, owner, size, time to the second, link
// target, the names that share an inode, file capabilities, a digest of the content. Without
// sockets.
std::map<std::string, std::string> inventory(const std::string& root);
// The differences as text; empty where there are none.
std::string difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after);

// How far any process has read into that file; nullopt where none has it open for reading.
std::optional<std::uint64_t> read_position(const std::string& path);

// --- containers ----------------------------------------------------------------------------------

Json inspect(const std::string& container);
bool paused(const std::string& container);
// What must not change in a container: state, process, start, restarts.
std::string life_of(const std::string& container);
pid_t first_process_of(const std::string& container);  // throws where it has none
// Where this host sees a path of a running container.
std::string seen_from_here(const std::string& container, const std::string& path);
std::string volume_path(const std::string& volume);
// The command lines of all processes in the container.
Strings command_lines_in(const std::string& container);
// Whether a dump runs in the container, or what a test put in its place.
bool dump_runs_in(const std::string& container);

// The engine's events of these containers from now on.
class EventLog {
 public:
  explicit EventLog(Strings containers);
  // Until now, in order: "pause NAME", "archive-path NAME", "exec_create: argv NAME". None is
  // missing.
  Strings events() const;

 private:
  Strings containers_;
  Process stream_;
};

// --- a case --------------------------------------------------------------------------------------

// A platform root with its own backups and state, and the containers and volumes of a case. All of
// it is removed at the end.
class E2eFixture {
 public:
  E2eFixture();
  E2eFixture(const E2eFixture&) = delete;
  E2eFixture& operator=(const E2eFixture&) = delete;
  ~E2eFixture();

  // A unique name; as a container's name it is its module id too.
  std::string name(const std::string& what);
  std::string volume(const std::string& what);
  // docker run --detach, docker create.
  std::string start(const std::string& what, const Strings& options, const std::string& image,
                    const Strings& command = {});
  std::string create(const std::string& what, const Strings& options, const std::string& image,
                     const Strings& command = {});
  // A container that something else started under a name of ours: it is removed with the others.
  void adopt(const std::string& container) { containers_.push_back(container); }
  // A file system of this size, in place of the backup directory.
  void small_backup_directory(const std::string& size);

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string backups() const { return path("backups"); }
  std::string state() const { return path("state"); }

  // The program under test.
  Strings command(const Strings& arguments) const;
  Process begin(const Strings& arguments) const { return Process(command(arguments)); }
  Ended bba(const Strings& arguments, const Setting& setting = {}) const;

  // The one manifest in the backup directory.
  Json manifest() const;
  // Runs the restore commands of the manifest's artifacts with sh, as an operator would.
  Ended restore_by_hand(const std::string& target,
                        const std::map<std::string, std::string>& environment = {}) const;
  Strings journals() const;
  // The pid of the guard of a run that is under way here.
  std::optional<pid_t> guard() const;
  void wait_for_guard_to_end() const;
  // A run that did not succeed leaves no file and no journal.
  void check_nothing_left() const;

 private:
  std::string make(const std::string& verb, const std::string& what, const Strings& options,
                   const std::string& image, const Strings& command);

  std::string root_;
  Strings containers_;
  Strings volumes_;
  bool mounted_ = false;
};

}  // namespace e2e
