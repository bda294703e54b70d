#include "bba/pipe/pump.hpp"

#include <exception>
#include <thread>

#include "bba/pipe/buffer.hpp"

namespace bba::pipe {

void pump(const std::function<std::optional<Chunk>()>& read, pipe::Stage& first,
          const std::function<void(std::size_t)>& moved) {
  pipe::BoundedBuffer buffer(pump_buffer_bytes);
  std::exception_ptr worker_failure;
  std::thread worker([&] {
    try {
      while (std::optional<Chunk> chunk = buffer.pop()) first.write(*chunk);
    } catch (...) {
      worker_failure = std::current_exception();
      buffer.leave();
    }
  });

  std::exception_ptr reader_failure;
  try {
    while (std::optional<Chunk> chunk = read()) {
      const std::size_t size = chunk->size();
      if (!buffer.push(std::move(*chunk))) break;
      moved(size);
    }
    buffer.end();
  } catch (...) {
    reader_failure = std::current_exception();
    // What was read before is still pushed: it may say why the stream broke off.
    buffer.end();
  }
  worker.join();
  if (worker_failure) std::rethrow_exception(worker_failure);
  if (reader_failure) std::rethrow_exception(reader_failure);
}

}  // namespace bba::pipe
