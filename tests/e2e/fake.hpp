// Programs that replace a container's own, for as long as these objects live.
#pragma once

#include <string>

#include "e2e/support.hpp"

namespace e2e {

// A shell script in place of a program. In it, $REAL is the program itself.
class FakeProgram {
 public:
  FakeProgram(std::string container, const std::string& program, const std::string& script);
  FakeProgram(const FakeProgram&) = delete;
  FakeProgram& operator=(const FakeProgram&) = delete;
  ~FakeProgram();

 protected:
  const std::string& container() const { return container_; }

 private:
  std::string container_, path_;
};

// Does what the program does, but where its arguments match `pattern` (of a shell's case) the
// output stops after `bytes`, a mark is made, and it waits until it is killed.
class WaitingProgram : public FakeProgram {
 public:
  WaitingProgram(const std::string& container, const std::string& program,
                 const std::string& pattern, std::size_t bytes);
  // Waits until it has written that much for this run.
  void wait_until_half_way(const Process& run) const;

 private:
  std::string half_way_;
};

// The program is not there.
class HiddenProgram {
 public:
  HiddenProgram(std::string container, const std::string& program);
  HiddenProgram(const HiddenProgram&) = delete;
  HiddenProgram& operator=(const HiddenProgram&) = delete;
  ~HiddenProgram();

 private:
  std::string container_, path_;
};

// Whether a process with these words in its command line runs in the container.
bool runs_in(const std::string& container, const std::string& words);
// Whether the image is one of the small programs of fixtures/image, and not the service itself.
bool is_stand_in(const std::string& image);

}  // namespace e2e
