// The bounded buffer between the thread that reads a socket and the one that compresses and writes,
// so that reading waits for the disk only once the whole buffer is full. One producer, one
// consumer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

#include "bba/base/bytes.hpp"

namespace bba::pipe {

class BoundedBuffer {
 public:
  explicit BoundedBuffer(std::size_t capacity_bytes) : capacity_(capacity_bytes) {}

  // Producer: waits while the buffer is full. False: the consumer has gone, nothing more is wanted.
  bool push(Chunk chunk);
  // Producer: no more will come; what is inside is still delivered.
  void end();
  // Producer: no more will come and what is inside no longer matters.
  void abort();

  // Consumer: the next chunk; nullopt at the end, or once the producer has aborted.
  std::optional<Chunk> pop();
  // Consumer: takes no more; wakes the producer.
  void leave();

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<Chunk> chunks_;
  std::size_t bytes_ = 0;
  bool ended_ = false, aborted_ = false, left_ = false;
};

}  // namespace bba::pipe
