#include "pipe/chunk_builder.hpp"

#include <algorithm>

#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

using test::Collector;

TEST_CASE("ChunkBuilder hands on full chunks at once and the rest when told") {
  Collector next;
  ChunkBuilder builder(next);
  const std::size_t capacity = builder.room().size();
  const std::string text = test::random_bytes(2 * capacity + 5, 1);
  builder.append(as_bytes(text));
  CHECK(next.chunks == 2);
  builder.flush();
  CHECK(next.chunks == 3);
  CHECK(next.text == text);
}

TEST_CASE("ChunkBuilder never hands on an empty chunk") {
  Collector next;
  ChunkBuilder builder(next);
  builder.flush();
  builder.append({});
  builder.written(0);
  builder.flush();
  CHECK(next.chunks == 0);
}

TEST_CASE("ChunkBuilder does not change the memory of chunks that it has handed on") {
  struct Keeper : Stage {
    void write(const Chunk& chunk) override { chunks.push_back(chunk); }
    void finish() override {}
    std::vector<Chunk> chunks;
  } next;
  ChunkBuilder builder(next);
  builder.append(as_bytes("first"));
  builder.flush();
  const std::span<std::byte> room = builder.room();
  std::fill(room.begin(), room.end(), std::byte{'x'});
  builder.written(1);
  builder.flush();
  REQUIRE(next.chunks.size() == 2);
  CHECK(next.chunks[0].text() == "first");
  CHECK(next.chunks[1].text() == "x");
}

TEST_CASE("ChunkBuilder passes the next stage's error on") {
  test::FailingStage next(0);
  ChunkBuilder builder(next);
  builder.append(as_bytes("text"));
  CHECK(test::error_of([&] { builder.flush(); }, ErrorKind::storage) == "the disk is full");
}

}  // namespace
}  // namespace bba::pipe
