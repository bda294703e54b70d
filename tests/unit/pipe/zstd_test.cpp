#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

constexpr auto zstd = Compression::zstd;

std::string decompression_error(std::string_view packed, std::size_t step = 4096) {
  return test::error_of([&] { (void)test::decompressed(zstd, packed, step); });
}

TEST_CASE("zstd reads what the zstd stage writes, and finds its checksum") {
  for (const std::size_t size : {0U, 1U, 70'000U, 3'000'000U}) {
    for (const std::string& text : {test::random_bytes(size, 1), test::random_lines(size, 2)}) {
      const std::string packed = test::compressed(zstd, text);
      const test::Ran program = test::run("zstd -d -q -c", packed);
      CHECK(program.status == 0);
      CHECK(program.output == text);
      CHECK((static_cast<unsigned char>(packed[4]) & 4U) != 0);
    }
  }
}

TEST_CASE("The zstd stage reads what zstd writes") {
  const std::string text = test::random_lines(300'000, 3);
  for (const std::string level : {"-1", "-3", "-19"}) {
    const std::string packed = test::run("zstd -q -c " + level, text).output;
    CHECK(test::decompressed(zstd, packed) == text);
  }
}

TEST_CASE("The zstd stage reads its own output at every split") {
  const std::string text = test::random_lines(3000, 5);
  const std::string packed = test::compressed(zstd, text);
  for (std::size_t split = 0; split <= packed.size(); ++split) {
    test::Collector next;
    test::feed_split(*make_decompressor(zstd, next), packed, split);
    CHECK(next.text == text);
  }
}

TEST_CASE("A zstd that is cut anywhere is an error that names the offset") {
  const std::string packed = test::compressed(zstd, test::random_lines(3000, 6));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{4096}}) {
      CHECK(decompression_error(packed.substr(0, size), step) ==
            "zstd: cut at byte " + std::to_string(size) + ", before the frame's checksum");
    }
  }
}

TEST_CASE("Anything behind the end of a zstd frame is an error that names the offset") {
  const std::string packed = test::compressed(zstd, test::random_lines(3000, 7));
  const std::string message =
      "zstd: trailing data after the end, from byte " + std::to_string(packed.size());
  const std::string skippable("\x50\x2A\x4D\x18\x01\0\0\0x", 9);
  for (const std::string& extra : {std::string(1, '\0'), std::string("\n"), skippable, packed}) {
    const std::string both = packed + extra;
    for (std::size_t split = packed.size() - 6; split <= both.size(); ++split) {
      test::Collector next;
      CHECK(test::error_of(
                [&] { test::feed_split(*make_decompressor(zstd, next), both, split); }) == message);
      CHECK_FALSE(next.finished);
    }
    CHECK(decompression_error(both, 1) == message);
  }
  CHECK(decompression_error(skippable + packed) == "zstd: byte 0 is not a frame's magic");
}

TEST_CASE("A zstd frame without a checksum is refused") {
  const std::string text = test::random_lines(3000, 8);
  const std::string packed = test::run("zstd -q -c --no-check", text).output;
  CHECK(decompression_error(packed) == "zstd: the frame has no content checksum");
  CHECK(decompression_error(packed, 1) == "zstd: the frame has no content checksum");
}

TEST_CASE("A zstd frame that asks for much memory is refused") {
  // The window is only as large as announced where the size of the content is not known.
  const std::string packed = test::run("zstd -q -c --long=27", test::random_lines(3000, 9)).output;
  CHECK(test::contains(decompression_error(packed), "requires too much memory"));
}

// No checksum covers the size of the window, nor the bits that fill up the last byte of a run of
// codes.
TEST_CASE("A flipped bit never changes what comes out of a zstd frame unnoticed") {
  const std::string text = test::random_lines(1000, 8) + test::random_bytes(200, 8);
  const std::string packed = test::compressed(zstd, text);
  std::size_t silent = 0;
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string broken = packed;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    test::Collector next;
    const std::string error =
        test::error_of([&] { test::feed(*make_decompressor(zstd, next), broken, 4096); });
    if (!error.empty()) continue;
    CHECK(next.text == text);
    ++silent;
  }
  CHECK(silent < packed.size() * 8 / 100);
}

TEST_CASE("What is not a zstd frame is an error") {
  for (const std::string& other :
       {std::string("hello, this is no zstd at all"), std::string(100, '\0'),
        test::compressed(Compression::gzip, "text")}) {
    CHECK(decompression_error(other) == "zstd: byte 0 is not a frame's magic");
    CHECK(decompression_error(other, 1) == "zstd: byte 0 is not a frame's magic");
  }
}

TEST_CASE("Output that ends exactly with a chunk is complete") {
  for (const std::size_t size :
       {256U * 1024U, 512U * 1024U, 256U * 1024U + 1U, 256U * 1024U - 1U}) {
    const std::string text(size, 'z');
    const std::string packed = test::compressed(zstd, text);
    CHECK(test::decompressed(zstd, packed) == text);
    CHECK(test::decompressed(zstd, packed, 1) == text);
  }
}

TEST_CASE("Mutated zstd frames are refused or harmless") {
  const std::string text = test::random_lines(6000, 9);
  const std::string packed = test::compressed(zstd, text);
  std::mt19937_64 random(10);
  std::size_t refused = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string broken = test::mutated(test::mutated(packed, random), random);
    test::Collector next;
    if (test::error_of([&] {
          test::feed(*make_decompressor(zstd, next), broken, 1 + random() % 3000);
        }).empty()) {
      CHECK(next.text == text);
    } else {
      ++refused;
    }
  }
  CHECK(refused > 4000);
}

}  // namespace
}  // namespace bba::pipe
