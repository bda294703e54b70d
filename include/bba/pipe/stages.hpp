// The stages that belong to no format: a tee, a counter.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

class TeeStage : public Stage {
 public:
  TeeStage(std::initializer_list<Stage*> branches) : branches_(branches) {}
  void write(const Chunk& chunk) override;
  void finish() override;

 private:
  std::vector<Stage*> branches_;
};

class CountStage : public Stage {
 public:
  explicit CountStage(Stage& next) : next_(next) {}
  void write(const Chunk& chunk) override;
  void finish() override { next_.finish(); }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  Stage& next_;
  std::uint64_t bytes_ = 0;
};

}  // namespace bba::pipe
