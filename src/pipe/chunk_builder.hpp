// Collects the output of a library that writes into raw memory, and hands it on as chunks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

class ChunkBuilder {
 public:
  explicit ChunkBuilder(Stage& next) : next_(next) {}

  // Where to write next; never empty.
  std::span<std::byte> room();
  // `size` bytes of room() were written. A full chunk goes to the next stage at once.
  void written(std::size_t size);
  void append(ByteView bytes);
  // Hands on what is there.
  void flush();

 private:
  // Large enough that handing a chunk on costs nothing, small enough that several in flight do not
  // count.
  static constexpr std::size_t capacity = 256 * 1024;

  Stage& next_;
  std::shared_ptr<std::byte[]> memory_;
  std::size_t filled_ = 0;
};

}  // namespace bba::pipe
