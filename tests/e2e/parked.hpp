#pragma once

#include <cstdio>

#include "e2e/support.hpp"

namespace e2e {

// What restores of this module have parked.
class Parked {
 public:
  explicit Parked(std::string module) : module_(std::move(module)) {}
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;
  ~Parked() {
    try {
      for (const std::string& id : listed({"ps", "--all"})) docker({"rm", "--force", id});
      for (const std::string& name : volumes()) docker({"volume", "rm", name});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cleaning up: %s\n", error.what());
    }
  }
  Strings volumes() const { return listed({"volume", "ls"}); }
  Strings containers() const { return listed({"ps", "--all"}); }

 private:
  Strings listed(Strings command) const {
    command.insert(command.end(), {"--quiet", "--filter", "label=bba.parked=" + module_});
    Strings names;
    const std::string lines = docker(command);
    for (const std::string_view line : split(lines, '\n')) {
      if (!line.empty()) names.emplace_back(line);
    }
    return names;
  }
  std::string module_;
};

}  // namespace e2e
