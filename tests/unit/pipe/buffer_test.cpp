#include "bba/pipe/buffer.hpp"

#include <atomic>
#include <thread>

#include "bba/pipe/digest.hpp"
#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

TEST_CASE("BoundedBuffer delivers in order, then the end, again and again") {
  BoundedBuffer buffer(100);
  CHECK(buffer.push(Chunk::copy_of("one")));
  CHECK(buffer.push(Chunk()));
  CHECK(buffer.push(Chunk::copy_of("two")));
  buffer.end();
  CHECK(buffer.pop()->text() == "one");
  CHECK(buffer.pop()->text() == "two");
  CHECK_FALSE(buffer.pop());
  CHECK_FALSE(buffer.pop());
}

TEST_CASE("BoundedBuffer accepts a chunk that is larger than its capacity, once it is empty") {
  BoundedBuffer buffer(10);
  const Chunk large = Chunk::copy_of(std::string(1000, 'x'));
  CHECK(buffer.push(large));
  std::atomic<bool> second_in = false;
  std::thread producer([&] {
    CHECK(buffer.push(large));
    second_in = true;
    buffer.end();
  });
  CHECK_FALSE(second_in);
  CHECK(buffer.pop()->size() == 1000);
  CHECK(buffer.pop()->size() == 1000);
  CHECK_FALSE(buffer.pop());
  producer.join();
  CHECK(second_in);
}

TEST_CASE("BoundedBuffer holds no more than its capacity") {
  constexpr std::size_t capacity = 64;
  BoundedBuffer buffer(capacity);
  // Bytes that push() has taken, less those that pop() has given: counted a little late by the
  // producer and a little late by the consumer, so the chunk in each one's hands comes on top.
  std::atomic<std::int64_t> inside = 0;
  std::int64_t most = 0;
  constexpr std::int64_t chunk_size = 7;
  std::thread producer([&] {
    for (int i = 0; i < 20'000; ++i) {
      if (!buffer.push(Chunk::copy_of("sevenby"))) break;
      inside += chunk_size;
    }
    buffer.end();
  });
  while (const auto chunk = buffer.pop()) {
    inside -= chunk_size;
    most = std::max(most, inside.load());
  }
  producer.join();
  CHECK(inside == 0);
  CHECK(most <= static_cast<std::int64_t>(capacity) + chunk_size);
}

TEST_CASE("BoundedBuffer's abort drops what is inside and wakes the consumer") {
  BoundedBuffer buffer(100);
  CHECK(buffer.push(Chunk::copy_of("lost")));
  buffer.abort();
  CHECK_FALSE(buffer.pop());

  BoundedBuffer empty(100);
  bool ended = false;
  std::thread consumer([&] { ended = !empty.pop().has_value(); });
  empty.abort();
  consumer.join();
  CHECK(ended);
}

TEST_CASE("A BoundedBuffer without a consumer takes nothing more and wakes the producer") {
  BoundedBuffer buffer(1);
  std::size_t pushed = 0;
  std::thread producer([&] {
    while (buffer.push(Chunk::copy_of("xx"))) ++pushed;
  });
  CHECK(buffer.pop().has_value());
  buffer.leave();
  producer.join();
  CHECK(pushed >= 1);
  CHECK_FALSE(buffer.push(Chunk::copy_of("x")));
  CHECK_FALSE(buffer.push(Chunk()));
}

TEST_CASE("BoundedBuffer carries every byte between two threads, whatever the sizes") {
  for (const std::size_t capacity : {1U, 100U, 10'000U}) {
    const std::string text = test::random_bytes(500'000, capacity);
    BoundedBuffer buffer(capacity);
    std::thread producer([&] {
      std::mt19937_64 random(7);
      std::size_t at = 0;
      while (at < text.size()) {
        const std::size_t size = std::min<std::size_t>(random() % 300, text.size() - at);
        CHECK(buffer.push(Chunk::copy_of(std::string_view(text).substr(at, size))));
        at += size;
      }
      buffer.end();
    });
    std::string received;
    while (const auto chunk = buffer.pop()) received += chunk->text();
    producer.join();
    CHECK(received == text);
  }
}

}  // namespace
}  // namespace bba::pipe
