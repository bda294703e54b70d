// The pump: one thread reads, one pushes, and a failure of either ends both.
#include "bba/pipe/pump.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using namespace bba;
using namespace bba::pipe;

namespace {

class Sink : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override {
    if (before_write) before_write();
    thread = std::this_thread::get_id();
    bytes += chunk.size();
    text += chunk.text().substr(0, 8);
    if (bytes > fails_after) throw Error(ErrorKind::storage, "no space left");
  }
  void finish() override { ++finished; }

  std::function<void()> before_write;
  std::thread::id thread;
  std::uint64_t bytes = 0;
  std::string text;
  std::uint64_t fails_after = UINT64_MAX;
  int finished = 0;
};

// Yields `count` chunks of `size` bytes, then the end, or `failure`.
class Source {
 public:
  Source(int count, std::size_t size) : count_(count), size_(size) {}
  std::optional<Error> failure;
  int read = 0;

  std::optional<Chunk> operator()() {
    if (read == count_) {
      if (failure) throw *failure;
      return std::nullopt;
    }
    ++read;
    return Chunk::copy_of(std::string(size_, static_cast<char>('a' + read % 26)));
  }

 private:
  int count_;
  std::size_t size_;
};

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void nothing(std::size_t) {}

}  // namespace

TEST_CASE("pump: all bytes are passed on in order, from another thread, without an end") {
  Source source(100, 1000);
  Sink sink;
  std::uint64_t told = 0;
  std::thread::id teller;
  pump(std::ref(source), sink, [&](std::size_t size) {
    told += size;
    teller = std::this_thread::get_id();
  });
  CHECK(sink.bytes == 100'000);
  CHECK(told == 100'000);
  CHECK(sink.finished == 0);  // the caller decides whether the bytes are complete
  CHECK(sink.thread != std::this_thread::get_id());
  CHECK(teller == std::this_thread::get_id());
  CHECK(sink.text.substr(0, 16) == "bbbbbbbbcccccccc");
}

TEST_CASE("pump: an empty source") {
  Source source(0, 0);
  Sink sink;
  pump(std::ref(source), sink, nothing);
  CHECK(sink.bytes == 0);
}

TEST_CASE("pump: a stage that fails stops the reading, though there is more") {
  // More than the buffer holds: a reader that did not notice would wait for room for ever.
  Source source(1'000'000, 64 << 10);
  Sink sink;
  sink.fails_after = 1 << 20;
  CHECK(error_of([&] { pump(std::ref(source), sink, nothing); }) == "no space left");
  CHECK(source.read < 1'000);
}

TEST_CASE("pump: a source that fails: what came before is still written") {
  Source source(10, 100);
  source.failure = Error(ErrorKind::engine, "connection closed");
  Sink sink;
  CHECK(error_of([&] { pump(std::ref(source), sink, nothing); }) == "connection closed");
  CHECK(sink.bytes == 1000);
  CHECK(sink.finished == 0);
}

TEST_CASE("pump: where both fail, the stage's error is reported, as it came first") {
  Source source(10, 100);
  source.failure = Error(ErrorKind::engine, "connection closed");
  Sink sink;
  sink.fails_after = 999;  // at the last chunk
  CHECK(error_of([&] { pump(std::ref(source), sink, nothing); }) == "no space left");
}

TEST_CASE("pump: the progress function may end it, too") {
  Source source(1'000'000, 64 << 10);
  Sink sink;
  const auto stop = [](std::size_t) { throw Error(ErrorKind::interrupted, "stopped"); };
  CHECK(error_of([&] { pump(std::ref(source), sink, stop); }) == "stopped");
  CHECK(source.read == 1);
}

TEST_CASE("pump: a slow stage limits what is read ahead") {
  constexpr std::size_t size = 1 << 20;
  Source source(64, size);
  std::atomic<int> moved = 0;
  int ahead = 0;
  Sink sink;
  int written = 0;
  sink.before_write = [&] {
    // Once the reader is as far ahead as it can be, it stays there while nothing is written.
    if (written == 0) {
      while (moved < static_cast<int>(pump_buffer_bytes / size)) std::this_thread::yield();
    }
    ++written;
    ahead = std::max(ahead, moved - written);
  };
  pump(std::ref(source), sink, [&](std::size_t) { ++moved; });
  CHECK(sink.bytes == 64 * size);
  // The buffer, and the chunk that each side is working on.
  CHECK(ahead <= static_cast<int>(pump_buffer_bytes / size) + 1);
}
