// The tee, the count.
#include "bba/pipe/stages.hpp"

#include <string>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using namespace bba;
using namespace bba::pipe;

namespace {

class Sink : public Stage {
 public:
  void write(const Chunk& chunk) override {
    text += chunk.text();
    last = chunk.bytes().data();
    if (text.size() > fails_after) throw Error(ErrorKind::storage, "full");
  }
  void finish() override { ++finished; }

  std::string text;
  const std::byte* last = nullptr;
  std::size_t fails_after = SIZE_MAX;
  int finished = 0;
};

}  // namespace

TEST_CASE("stages: a tee gives the same bytes to all, in order, and finishes each") {
  Sink first, second;
  TeeStage tee{&first, &second};
  const Chunk chunk = Chunk::copy_of("shared");
  tee.write(chunk);
  tee.write(Chunk::copy_of(" twice"));
  tee.finish();
  CHECK(first.text == "shared twice");
  CHECK(second.text == "shared twice");
  CHECK(first.finished == 1);
  CHECK(second.finished == 1);
  Sink a, b;
  TeeStage again{&a, &b};
  again.write(chunk);
  CHECK(a.last == b.last);  // nothing was copied
}

TEST_CASE("stages: where one branch of a tee fails, the others are not finished as if complete") {
  Sink check, file;
  check.fails_after = 0;
  TeeStage tee{&check, &file};
  CHECK_THROWS_AS(tee.write(Chunk::copy_of("x")), Error);
  CHECK(file.text == "");
  CHECK(file.finished == 0);
}

TEST_CASE("stages: counting") {
  Sink sink;
  CountStage count(sink);
  CHECK(count.bytes() == 0);
  count.write(Chunk::copy_of("abc"));
  count.write(Chunk());
  count.write(Chunk::copy_of("de"));
  CHECK(count.bytes() == 5);
  count.finish();
  CHECK(sink.text == "abcde");
  CHECK(sink.finished == 1);
}
