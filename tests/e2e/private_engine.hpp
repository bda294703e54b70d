// A Docker Engine of its own, for cases that kill it. In its place no other engine is used while it
// lives: host() is its address.
#pragma once

#include <optional>
#include <string>

#include "e2e/support.hpp"

namespace e2e {

class PrivateEngine {
 public:
  // Runs, without containers. It has one small image, with a shell and its tools.
  PrivateEngine();
  PrivateEngine(const PrivateEngine&) = delete;
  PrivateEngine& operator=(const PrivateEngine&) = delete;
  ~PrivateEngine();

  static constexpr const char* image = "bba-fixture/small:1";

  // SIGKILL, of its containerd as well: the containers run on.
  void kill();
  // The containers that still run are ended, as always where an engine starts; those that are to
  // be restarted are.
  void start();

 private:
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  void end_containerd() const;
  void take_image_from(const std::string& shared) const;
  void end() noexcept;

  std::string root_;
  std::string shared_host_;
  std::optional<Process> dockerd_;
};

}  // namespace e2e
