#include "bba/base/bytes.hpp"

#include <cstring>
#include <string>
#include <utility>

#include <doctest/doctest.h>

using namespace bba;

TEST_CASE("a chunk holds a copy of its own") {
  std::string text = "content";
  const Chunk chunk = Chunk::copy_of(text);
  text.assign("xxxxxxx");
  CHECK(chunk.text() == "content");
  CHECK(chunk.size() == 7);
  CHECK(as_text(chunk.bytes()) == "content");
}

TEST_CASE("an empty chunk is empty, however it was made") {
  for (const Chunk& chunk :
       {Chunk(), Chunk::copy_of(""), Chunk::copy_of(ByteView()), Chunk::copy_of("abc").sub(3)}) {
    CHECK(chunk.empty());
    CHECK(chunk.size() == 0);
    CHECK(chunk.text().empty());
  }
}

TEST_CASE("a piece shares the memory and outlives the whole") {
  Chunk piece;
  {
    const Chunk whole = Chunk::copy_of("one two three");
    const Chunk tail = whole.sub(4);
    CHECK(tail.text() == "two three");
    CHECK(tail.bytes().data() == whole.bytes().data() + 4);
    piece = tail.sub(0, 3);
  }
  CHECK(piece.text() == "two");
  CHECK(piece.sub(1, 1).text() == "w");
}

TEST_CASE("a chunk may use less than its owner holds") {
  auto owner = std::make_shared<std::byte[]>(8);
  std::memcpy(owner.get(), "12345678", 8);
  CHECK(Chunk(std::move(owner), 3).text() == "123");
}

TEST_CASE("text and bytes are two views of the same memory") {
  const std::string text("a\0b\xff", 4);
  CHECK(as_bytes(text).size() == 4);
  CHECK(as_bytes(text)[3] == std::byte{0xff});
  CHECK(as_text(as_bytes(text)) == text);
}
