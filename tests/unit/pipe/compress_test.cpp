#include "bba/pipe/compress.hpp"

#include "unit/pipe/support.hpp"

namespace bba::pipe {
namespace {

TEST_CASE("A compression is found by its name and by its suffix") {
  struct Row {
    Compression compression;
    std::string_view name;
    std::string_view suffix;
  };
  for (const Row& row : {Row{Compression::none, "none", ""}, Row{Compression::gzip, "gzip", ".gz"},
                         Row{Compression::zstd, "zstd", ".zst"}}) {
    CHECK(name(row.compression) == row.name);
    CHECK(file_suffix(row.compression) == row.suffix);
    CHECK(compression_by_name(row.name) == row.compression);
  }
  for (const std::string_view other : {"", "gz", "GZIP", "zstd ", "lz4"}) {
    CHECK_FALSE(compression_by_name(other));
  }
}

TEST_CASE("No compression passes everything through") {
  const std::string text = test::random_bytes(1000, 1);
  CHECK(test::compressed(Compression::none, text) == text);
  CHECK(test::decompressed(Compression::none, text) == text);
  test::Collector next;
  make_compressor(Compression::none, next)->finish();
  CHECK(next.finished);
}

TEST_CASE("Each compression is reversible, whatever the sizes of content and chunks") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    for (const std::size_t size :
         {0U, 1U, 2U, 511U, 65'535U, 65'536U, 65'537U, 262'144U, 1'000'000U}) {
      for (const std::string& text : {test::random_bytes(size, size),
                                      test::random_lines(size, size), std::string(size, 'x')}) {
        for (const std::size_t step : {std::size_t{4096}, std::size_t{1'000'000}}) {
          CHECK(test::decompressed(compression, test::compressed(compression, text, step), step) ==
                text);
        }
      }
    }
    const std::string text = test::random_lines(20'000, 2);
    for (const std::size_t step : {1U, 2U, 7U}) {
      CHECK(test::decompressed(compression, test::compressed(compression, text, step), step) ==
            text);
    }
  }
}

TEST_CASE("The next stage's error comes through, and its finish() is the last thing") {
  const std::string text = test::random_bytes(1'000'000, 3);
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    const std::string packed = test::compressed(compression, text);
    for (const std::size_t good_writes : {0U, 1U, 2U}) {
      test::FailingStage next(good_writes);
      CHECK(test::error_of([&] { test::feed(*make_compressor(compression, next), text, 4096); },
                           ErrorKind::storage) == "the disk is full");
      CHECK(test::error_of([&] { test::feed(*make_decompressor(compression, next), packed, 4096); },
                           ErrorKind::storage) == "the disk is full");
    }
    test::Collector next;
    const auto stage = make_decompressor(compression, next);
    stage->write(Chunk::copy_of(packed));
    CHECK_FALSE(next.finished);
    stage->finish();
    CHECK(next.finished);
  }
}

}  // namespace
}  // namespace bba::pipe
