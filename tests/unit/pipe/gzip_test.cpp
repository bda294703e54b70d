#include <algorithm>

#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

constexpr auto gzip = Compression::gzip;

std::string decompression_error(std::string_view packed, std::size_t step = 4096) {
  return test::error_of([&] { (void)test::decompressed(gzip, packed, step); });
}

TEST_CASE("gunzip reads what the gzip stage writes") {
  for (const std::size_t size : {0U, 1U, 70'000U, 3'000'000U}) {
    for (const std::string& text : {test::random_bytes(size, 1), test::random_lines(size, 2)}) {
      const test::Ran gunzip = test::run("gunzip", test::compressed(gzip, text));
      CHECK(gunzip.status == 0);
      CHECK(gunzip.errors.empty());
      CHECK(gunzip.output == text);
    }
  }
}

TEST_CASE("The gzip stage reads what gzip writes, with a file's name and time in the header") {
  const std::string text = test::random_lines(50'000, 4);
  const test::TempDir dir;
  test::write_file(dir / "a name", text);
  for (const std::string level : {"-1", "-6", "-9"}) {
    const std::string packed = test::run("gzip -c " + level + " '" + dir / "a name" + "'").output;
    CHECK(test::decompressed(gzip, packed) == text);
    CHECK(test::decompressed(gzip, packed, 1) == text);
  }
}

TEST_CASE("A gzip's header may have an extra field, a name and a comment, and come in any pieces") {
  const std::string text = test::random_lines(3000, 9);
  const std::string plain = test::compressed(gzip, text);
  constexpr std::size_t header_size = 10;
  std::string packed = plain.substr(0, header_size);
  packed[3] = 0x04 | 0x08 | 0x10;  // FEXTRA, FNAME, FCOMMENT of RFC 1952
  packed += std::string("\x05\0extra", 7) + std::string("a name\0", 7) + std::string("said\0", 5);
  const std::size_t whole_header = packed.size();
  packed += plain.substr(header_size);
  CHECK(test::decompressed(gzip, packed, 1) == text);
  for (std::size_t split = 0; split <= whole_header + 20; ++split) {
    test::Collector next;
    test::feed_split(*make_decompressor(gzip, next), packed, split);
    CHECK(next.text == text);
  }
}

TEST_CASE("The gzip stage reads its own output at every split") {
  const std::string text = test::random_lines(3000, 5);
  const std::string packed = test::compressed(gzip, text);
  for (std::size_t split = 0; split <= packed.size(); ++split) {
    test::Collector next;
    test::feed_split(*make_decompressor(gzip, next), packed, split);
    CHECK(next.text == text);
  }
}

TEST_CASE("A gzip that is cut anywhere is an error that names the offset") {
  const std::string packed = test::compressed(gzip, test::random_lines(3000, 6));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const std::string cut = packed.substr(0, size);
    for (const std::size_t step : {std::size_t{1}, std::size_t{4096}}) {
      CHECK(decompression_error(cut, step) ==
            "gzip: cut at byte " + std::to_string(size) + ", before the trailer's end");
    }
  }
}

TEST_CASE("Anything behind the end of a gzip is an error that names the offset") {
  const std::string packed = test::compressed(gzip, test::random_lines(3000, 7));
  const std::string message =
      "gzip: trailing data after the end, from byte " + std::to_string(packed.size());
  for (const std::string& extra :
       {std::string(1, '\0'), std::string(7, '\0'), std::string(8, '\0'), std::string(9, '\0'),
        std::string(512, '\0'), std::string("\n"), std::string("{\"message\":\"x\"}"), packed}) {
    const std::string both = packed + extra;
    for (std::size_t split = packed.size() - 12; split <= both.size(); ++split) {
      test::Collector next;
      CHECK(test::error_of(
                [&] { test::feed_split(*make_decompressor(gzip, next), both, split); }) == message);
      CHECK_FALSE(next.finished);
    }
    CHECK(decompression_error(both, 1) == message);
  }
}

// No checksum covers a plain header's text hint, time, flags and system, nor the bits that fill up
// the last byte before the trailer. Flipping one of them changes nothing of the content; all others
// are noticed.
TEST_CASE("A flipped bit never changes what comes out of a gzip unnoticed") {
  const std::string text = test::random_lines(2000, 8) + test::random_bytes(500, 8);
  const std::string packed = test::compressed(gzip, text);
  std::size_t silent = 0;
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string broken = packed;
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    test::Collector next;
    const std::string error =
        test::error_of([&] { test::feed(*make_decompressor(gzip, next), broken, 4096); });
    if (!error.empty()) continue;
    CHECK(next.text == text);
    const bool in_header = bit / 8 >= 3 && bit / 8 < 10;
    const bool before_trailer = bit / 8 == packed.size() - 9;
    CHECK((in_header || before_trailer));
    ++silent;
  }
  CHECK(silent < 8 * 8);
}

TEST_CASE("What is not gzip is an error") {
  for (const std::string& other :
       {std::string("hello, this is no gzip at all"), std::string("BZh91AY"),
        std::string(100, '\0'), std::string("\x1f\x8b\x07\0\0\0\0\0\0\0", 10),
        test::compressed(Compression::zstd, "text")}) {
    CHECK(decompression_error(other).starts_with("gzip: "));
    CHECK(decompression_error(other, 1).starts_with("gzip: "));
  }
  CHECK(decompression_error("") == "gzip: cut at byte 0, before the trailer's end");
}

TEST_CASE("Output that ends exactly with a chunk is complete") {
  for (const std::size_t size :
       {256U * 1024U, 512U * 1024U, 256U * 1024U + 1U, 256U * 1024U - 1U}) {
    const std::string text(size, 'z');
    const std::string packed = test::compressed(gzip, text);
    CHECK(test::decompressed(gzip, packed) == text);
    CHECK(test::decompressed(gzip, packed, 1) == text);
  }
}

TEST_CASE("Mutated gzips are refused or harmless") {
  const std::string text = test::random_lines(6000, 9);
  const std::string packed = test::compressed(gzip, text);
  std::mt19937_64 random(10);
  std::size_t refused = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string broken = test::mutated(test::mutated(packed, random), random);
    test::Collector next;
    if (test::error_of([&] {
          test::feed(*make_decompressor(gzip, next), broken, 1 + random() % 3000);
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
