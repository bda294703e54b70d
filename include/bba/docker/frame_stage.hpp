// The stream of an exec as a stage: frames in, the program's stdout out.
#pragma once

#include <string>

#include "bba/pipe/stage.hpp"
#include "bba/wire/frame.hpp"

namespace bba::docker {

// Takes an exec's frames and passes its stdout on. Keeps the end of stderr, and the beginning of
// stdout, where the engine writes why a program could not start.
class FrameStage : public pipe::Stage {
 public:
  explicit FrameStage(pipe::Stage& next) : next_(next) {}
  void write(const Chunk& chunk) override;
  void finish() override;
  const std::string& stderr_tail() const noexcept { return stderr_tail_; }
  const std::string& stdout_head() const noexcept { return stdout_head_; }

 private:
  pipe::Stage& next_;
  wire::FrameParser parser_;
  std::string stderr_tail_;
  std::string stdout_head_;
};

}  // namespace bba::docker
