#include "bba/pipe/buffer.hpp"

#include <utility>

namespace bba::pipe {

bool BoundedBuffer::push(Chunk chunk) {
  std::unique_lock lock(mutex_);
  // A chunk that is larger than the whole buffer still gets through: once the buffer is empty.
  room_.wait(lock, [&] { return left_ || bytes_ == 0 || bytes_ + chunk.size() <= capacity_; });
  if (left_) return false;
  if (chunk.empty()) return true;
  bytes_ += chunk.size();
  chunks_.push_back(std::move(chunk));
  lock.unlock();
  filled_.notify_one();
  return true;
}

void BoundedBuffer::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  filled_.notify_one();
}

void BoundedBuffer::abort() {
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  chunks_.clear();
  bytes_ = 0;
  filled_.notify_one();
}

std::optional<Chunk> BoundedBuffer::pop() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [&] { return !chunks_.empty() || ended_ || aborted_; });
  if (chunks_.empty()) return std::nullopt;
  std::optional<Chunk> chunk(std::move(chunks_.front()));
  chunks_.pop_front();
  bytes_ -= chunk->size();
  lock.unlock();
  room_.notify_one();
  return chunk;
}

void BoundedBuffer::leave() {
  const std::lock_guard lock(mutex_);
  left_ = true;
  chunks_.clear();
  bytes_ = 0;
  room_.notify_one();
}

}  // namespace bba::pipe
