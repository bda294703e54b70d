// Frames in, the program's stdout out.
#include "bba/docker/frame_stage.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using namespace bba;
using namespace bba::docker;

namespace {

class Sink : public pipe::Stage {
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

std::string frame(int stream, const std::string& payload) {
  std::string out(8, '\0');
  out[0] = static_cast<char>(stream);
  for (std::size_t i = 0; i < 4; ++i)
    out[4 + i] = static_cast<char>(payload.size() >> (24 - 8 * i));
  return out + payload;
}

Error error_of_writing(const std::string& bytes, bool to_the_end) {
  Sink sink;
  FrameStage stage(sink);
  try {
    stage.write(Chunk::copy_of(bytes));
    if (to_the_end) stage.finish();
  } catch (const Error& error) {
    CHECK(sink.finished == 0);
    return error;
  }
  FAIL("nothing was thrown");
  return Error(ErrorKind::internal, "");
}

}  // namespace

TEST_CASE("stages: stdout passes, stderr is kept, at every split of the stream") {
  const std::string stream =
      frame(1, "one ") + frame(2, "oops") + frame(1, "") + frame(0, "in ") + frame(1, "two");
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    CAPTURE(split);
    Sink sink;
    FrameStage stage(sink);
    stage.write(Chunk::copy_of(stream.substr(0, split)));
    stage.write(Chunk::copy_of(stream.substr(split)));
    stage.finish();
    CHECK(sink.text == "one in two");
    CHECK(sink.finished == 1);
    CHECK(stage.stderr_tail() == "oops");
    CHECK(stage.stdout_head() == "one in two");
  }
}

TEST_CASE("stages: payload is passed on and not copied") {
  Sink sink;
  FrameStage stage(sink);
  const Chunk chunk = Chunk::copy_of(frame(1, "payload"));
  stage.write(chunk);
  CHECK(sink.last == chunk.bytes().data() + 8);
}

TEST_CASE("stages: of stderr the end is kept, of stdout the beginning, both bounded") {
  Sink sink;
  FrameStage stage(sink);
  for (int i = 0; i < 100; ++i) {
    const char letter = static_cast<char>('a' + i % 26);
    stage.write(Chunk::copy_of(frame(2, std::string(1000, letter))));
    stage.write(Chunk::copy_of(frame(1, std::string(1000, letter))));
  }
  stage.write(Chunk::copy_of(frame(2, "the last words")));
  stage.finish();
  CHECK(stage.stderr_tail().size() == 4096);
  CHECK(stage.stderr_tail().ends_with("the last words"));
  CHECK(stage.stdout_head().size() == 4096);
  CHECK(stage.stdout_head().starts_with(std::string(1000, 'a') + "b"));
  CHECK(sink.text.size() == 100'000);
}

TEST_CASE("stages: a stream that is not frames, or ends inside one") {
  const Error unknown = error_of_writing(frame(1, "ok") + "SQL dump", false);
  CHECK(unknown.kind() == ErrorKind::engine);
  CHECK(std::string(unknown.what()).find("at byte 1") != std::string::npos);
  const std::string whole = frame(1, "twelve bytes");
  for (std::size_t length = 1; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(error_of_writing(whole.substr(0, length), true).kind() == ErrorKind::capture);
  }
}

TEST_CASE("stages: what the next stage throws comes through") {
  Sink sink;
  sink.fails_after = 3;
  FrameStage stage(sink);
  CHECK_THROWS_AS(stage.write(Chunk::copy_of(frame(1, "four"))), Error);
}
