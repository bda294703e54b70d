#include "unit/store/support.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"

namespace test {

TempDir::TempDir() {
  std::string form = std::filesystem::temp_directory_path().string() + "/bba-test-XXXXXX";
  if (::mkdtemp(form.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = form;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void write_file(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  REQUIRE(file.good());
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.is_open());
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

namespace {

std::string shown(const bba::Error& error) {
  static constexpr std::array kinds{"internal",   "usage",    "config",      "container", "engine",
                                    "capture",    "artifact", "storage",     "busy",      "gate",
                                    "unfinished", "timeout",  "interrupted", "terminated"};
  return fmt::format("error {}: {} | {}", kinds.at(static_cast<std::size_t>(error.kind())),
                     error.what(), error.hint());
}

}  // namespace

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const bba::Error& error) {
    return shown(error);
  }
  return "no error";
}

Child::Child(const std::function<std::string()>& action) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  bba::Fd reader(ends[0]);
  bba::Fd writer(ends[1]);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string text;
    try {
      text = action();
    } catch (const bba::Error& error) {
      text = shown(error);
    } catch (const std::exception& error) {
      text = fmt::format("exception: {}", error.what());
    }
    // Not write_all: the action may have made write fail.
    const iovec part{text.data(), text.size()};
    if (::writev(writer.get(), &part, 1) != static_cast<ssize_t>(text.size())) ::_exit(1);
    writer.reset();
    for (;;) ::pause();
  }
  writer.reset();
  report_ = bba::read_rest(reader.get(), 1 << 20, bba::ErrorKind::internal, "the child's report");
}

void Child::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string in_child(const std::function<std::string()>& action) {
  return Child(action).report();
}

void fail_system_call(int number, int error_number, unsigned mask) {
  const auto call = static_cast<unsigned>(number);
  const auto verdict = SECCOMP_RET_ERRNO | static_cast<unsigned>(error_number);
  // The low half of the argument, on a little-endian machine.
  const auto flags = static_cast<unsigned>(offsetof(seccomp_data, args) + 2 * sizeof(__u64));
  std::array<sock_filter, 7> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, verdict),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    throw std::runtime_error("seccomp refused the filter");
  }
}

}  // namespace test
