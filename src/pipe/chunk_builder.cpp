#include "chunk_builder.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace bba::pipe {

std::span<std::byte> ChunkBuilder::room() {
  if (!memory_) memory_ = std::make_shared_for_overwrite<std::byte[]>(capacity);
  return {memory_.get() + filled_, capacity - filled_};
}

void ChunkBuilder::written(std::size_t size) {
  filled_ += size;
  if (filled_ == capacity) flush();
}

void ChunkBuilder::append(ByteView bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> target = room();
    const std::size_t size = std::min(target.size(), bytes.size());
    std::memcpy(target.data(), bytes.data(), size);
    bytes = bytes.subspan(size);
    written(size);
  }
}

void ChunkBuilder::flush() {
  if (filled_ == 0) return;
  const std::size_t size = std::exchange(filled_, 0);
  next_.write(Chunk(std::exchange(memory_, nullptr), size));
}

}  // namespace bba::pipe
