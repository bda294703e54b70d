#include "e2e/fake.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace e2e {

namespace {

constexpr const char* half_way_mark = "/tmp/e2e-half-way";

Strings shell(const std::string& container, const std::string& script) {
  return {"docker", "-H", host(), "exec", "-u", "root", container, "sh", "-ec", script};
}

std::string path_of(const std::string& container, const std::string& program) {
  return docker({"exec", container, "sh", "-ec", "command -v " + program});
}

}  // namespace

FakeProgram::FakeProgram(std::string container, const std::string& program,
                         const std::string& script)
    // The first directory in PATH of nearly every image.
    : container_(std::move(container)), path_("/usr/local/sbin/" + program) {
  const std::string real = path_of(container_, program);
  if (real == path_) throw std::runtime_error(path_ + " is there already");
  docker({"exec", "-i", "-u", "root", container_, "sh", "-ec",
          fmt::format("mkdir -p /usr/local/sbin; cat > {0}.new; chmod 755 {0}.new; mv {0}.new {0}",
                      path_)},
         fmt::format("#!/bin/sh\nREAL={}\n{}", real, script));
}

FakeProgram::~FakeProgram() {
  if (run(shell(container_, "rm -f " + path_)).exit_code != 0) {
    std::fprintf(stderr, "%s stays in %s\n", path_.c_str(), container_.c_str());
  }
}

WaitingProgram::WaitingProgram(const std::string& container, const std::string& program,
                               const std::string& pattern, std::size_t bytes)
    : FakeProgram(container, program,
                  fmt::format("case \"$*\" in\n"
                              "{}) \"$REAL\" \"$@\" | head -c {}\n"
                              "  touch {}\n"
                              "  sleep 600; exit 1 ;;\n"
                              "esac\n"
                              "exec \"$REAL\" \"$@\"\n",
                              pattern, bytes, half_way_mark)),
      half_way_(seen_from_here(container, half_way_mark)) {
  // A mark that an earlier run left.
  run(shell(container, fmt::format("rm -f {}", half_way_mark)));
}

void WaitingProgram::wait_until_half_way(const Process& process) const {
  wait_until("a program half way", 30s,
             [&] { return std::filesystem::exists(half_way_) || !process.running(); });
  if (!process.running()) throw std::runtime_error("the run ended early: " + process.err());
  run(shell(container(), fmt::format("rm -f {}", half_way_mark)));
}

HiddenProgram::HiddenProgram(std::string container, const std::string& program)
    : container_(std::move(container)), path_(path_of(container_, program)) {
  if (run(shell(container_, fmt::format("mv {0} {0}.hidden", path_))).exit_code != 0) {
    throw std::runtime_error("hiding " + path_);
  }
}

HiddenProgram::~HiddenProgram() {
  if (run(shell(container_, fmt::format("mv {0}.hidden {0}", path_))).exit_code != 0) {
    std::fprintf(stderr, "%s stays hidden in %s\n", path_.c_str(), container_.c_str());
  }
}

bool runs_in(const std::string& container, const std::string& words) {
  const Strings lines = command_lines_in(container);
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(words) != line.npos; });
}

bool is_stand_in(const std::string& image) {
  return docker({"image", "inspect", "--format", "{{index .Config.Labels \"bba.source\"}}",
                 image}) == "stand-in";
}

}  // namespace e2e
