// A session to use backup sets with. The engine behind it is not there unless a test scripts one.
#pragma once

#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "bba/run/session.hpp"
#include "unit/sets.hpp"

namespace bba::test {

class RecordingReporter : public Reporter {
 public:
  void progress(const Progress&) override {}
  void progress_end() override {}
  void note(const std::string& text) override { notes.push_back(text); }
  void detail(const std::string&) override {}
  void warning(const std::string& text) override { warnings.push_back(text); }

  std::vector<std::string> notes, warnings;
};

// A directory with backups, proofs and state in it, and the session that works there.
class BackupFixture : public SetDirectory {
 public:
  explicit BackupFixture(const std::string& socket = "/nonexistent/engine.sock")
      : session{settings(), stop, reporter, docker::Engine(socket, {}, &stop)} {}

  Stop stop;
  RecordingReporter reporter;
  run::Session session;

 private:
  run::Settings settings() const {
    run::Settings settings;
    settings.backup_dir = backups();
    settings.proof_dir = proofs();
    settings.state_dir = state();
    settings.platform_root = temp / "platform";
    return settings;
  }
};

// The number of a process that has ended.
inline pid_t dead_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

// The journal of a run that was killed after it paused this container on the engine at `host`.
inline std::string put_journal(const SetDirectory& directory, const std::string& host,
                               const std::string& id, const std::string& name,
                               pid_t run = dead_process()) {
  store::OwnedDirectory::open_or_create(directory.state());
  const std::string path = directory.state() + "/" + std::to_string(run) + "-1.journal";
  write_file(path, dump_json(Json{{"host", host}}) + "\n" +
                       dump_json(Json{{"owe", "paused"}, {"id", id}, {"name", name}}));
  return path;
}

}  // namespace bba::test
