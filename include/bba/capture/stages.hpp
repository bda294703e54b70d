// The stages that belong to the program rather than to a format: frames to stdout, a tee, the file
// at the end.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "bba/pipe/stage.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/wire/frame.hpp"

namespace bba::ops {

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

class TeeStage : public pipe::Stage {
 public:
  TeeStage(std::initializer_list<pipe::Stage*> branches) : branches_(branches) {}
  void write(const Chunk& chunk) override;
  void finish() override;

 private:
  std::vector<pipe::Stage*> branches_;
};

class CountStage : public pipe::Stage {
 public:
  explicit CountStage(pipe::Stage& next) : next_(next) {}
  void write(const Chunk& chunk) override;
  void finish() override { next_.finish(); }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  pipe::Stage& next_;
  std::uint64_t bytes_ = 0;
};

class FileStage : public pipe::Stage {
 public:
  explicit FileStage(store::ArtifactFile& file) : file_(file) {}
  void write(const Chunk& chunk) override { file_.write(chunk.bytes()); }
  void finish() override { file_.sync(); }

 private:
  store::ArtifactFile& file_;
};

}  // namespace bba::ops
