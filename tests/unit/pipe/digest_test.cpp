#include "bba/pipe/digest.hpp"

#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

using test::Collector;

constexpr std::string_view sha256_abc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view sha256_nothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST_CASE("Hasher gives the digests of the standards, and starts again after each") {
  Hasher sha256;
  sha256.update(as_bytes("a"));
  sha256.update(as_bytes(""));
  sha256.update(as_bytes("bc"));
  CHECK(sha256.hex() == sha256_abc);
  CHECK(sha256.hex() == sha256_nothing);

  Hasher md5(DigestKind::md5);
  md5.update(as_bytes("abc"));
  CHECK(md5.hex() == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(md5.hex() == "d41d8cd98f00b204e9800998ecf8427e");
}

TEST_CASE("A moved Hasher goes on with what it had") {
  Hasher first;
  first.update(as_bytes("ab"));
  Hasher second = std::move(first);
  second.update(as_bytes("c"));
  CHECK(second.hex() == sha256_abc);
}

TEST_CASE("DigestStage counts, digests and passes on the same memory") {
  struct Same : Collector {
    void write(const Chunk& chunk) override {
      data = chunk.bytes().data();
      Collector::write(chunk);
    }
    const std::byte* data = nullptr;
  } next;
  DigestStage stage(&next);
  const Chunk chunk = Chunk::copy_of("abc");
  stage.write(chunk);
  CHECK(next.data == chunk.bytes().data());
  CHECK_FALSE(next.finished);
  stage.finish();
  CHECK(next.finished);
  CHECK(next.text == "abc");
  CHECK(stage.bytes() == 3);
  CHECK(stage.sha256() == sha256_abc);
}

TEST_CASE("DigestStage needs no next stage, and is independent of chunk borders") {
  const std::string text = test::random_lines(10'000, 1);
  DigestStage whole(nullptr);
  test::feed(whole, text, text.size());
  for (const std::size_t step : {1U, 2U, 63U, 64U, 65U}) {
    DigestStage pieces(nullptr);
    test::feed(pieces, text, step);
    CHECK(pieces.sha256() == whole.sha256());
  }
  CHECK(whole.sha256() == test::run("sha256sum | cut -c1-64 | tr -d '\\n'", text).output);
}

}  // namespace
}  // namespace bba::pipe
