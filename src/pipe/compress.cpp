#include "bba/pipe/compress.hpp"

#include <array>

#include "codec.hpp"

namespace bba::pipe {

namespace {

struct Known {
  Compression compression;
  std::string_view name;
  std::string_view suffix;
};

constexpr std::array<Known, 3> all_known{{{Compression::none, "none", ""},
                                          {Compression::gzip, "gzip", ".gz"},
                                          {Compression::zstd, "zstd", ".zst"}}};

const Known& known(Compression compression) {
  return all_known[static_cast<std::size_t>(compression)];
}

class PassThrough : public Stage {
 public:
  explicit PassThrough(Stage& next) : next_(next) {}
  void write(const Chunk& chunk) override { next_.write(chunk); }
  void finish() override { next_.finish(); }

 private:
  Stage& next_;
};

}  // namespace

std::string_view name(Compression compression) {
  return known(compression).name;
}
std::string_view file_suffix(Compression compression) {
  return known(compression).suffix;
}

std::optional<Compression> compression_by_name(std::string_view name) {
  for (const Known& candidate : all_known) {
    if (candidate.name == name) return candidate.compression;
  }
  return std::nullopt;
}

std::unique_ptr<Stage> make_compressor(Compression compression, Stage& next) {
  if (compression == Compression::gzip) return make_gzip_compressor(next);
  if (compression == Compression::zstd) return make_zstd_compressor(next);
  return std::make_unique<PassThrough>(next);
}

std::unique_ptr<Stage> make_decompressor(Compression compression, Stage& next) {
  if (compression == Compression::gzip) return make_gzip_decompressor(next);
  if (compression == Compression::zstd) return make_zstd_decompressor(next);
  return std::make_unique<PassThrough>(next);
}

}  // namespace bba::pipe
