// What the tests of this room share: a directory of their own, a look into it, and child processes
// that can be killed or given a system call that fails.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"

namespace test {

class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + '/' + std::string(name); }

 private:
  std::string path_;
};

// Every name in the directory, dot-files included, sorted.
std::vector<std::string> names_in(const std::string& directory);
void write_file(const std::string& path, std::string_view content);
std::string read_file(const std::string& path);
unsigned mode_of(const std::string& path);  // the permission bits

// A child process that runs `action`, reports the text that it returns, and lives until it is
// killed. What `action` throws is reported as "error KIND: MESSAGE | HINT".
class Child {
 public:
  explicit Child(const std::function<std::string()>& action);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }
  const std::string& report() const { return report_; }
  pid_t pid() const { return pid_; }
  void kill();  // SIGKILL, and waits

 private:
  pid_t pid_ = -1;
  std::string report_;
};
// The report of a child that is killed at once.
std::string in_child(const std::function<std::string()>& action);

// From now on the system call fails in this process; for children only. With `mask`, only where
// its third argument (the flags of openat, fcntl) has all of these bits.
void fail_system_call(int number, int error_number, unsigned mask = 0);

// The error that `action` throws, as Child reports it; "no error" where it throws none.
std::string error_of(const std::function<void()>& action);

}  // namespace test
