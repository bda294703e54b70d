// zstd through libzstd.
#include <cstdint>
#include <string>
#include <string_view>

#include <zstd.h>

#include "bba/base/text.hpp"
#include "chunk_builder.hpp"
#include "codec.hpp"

namespace bba::pipe {

namespace {

// A frame says how large a window its reader must hold. 8 MiB is what RFC 8878 recommends every
// decoder to accept, and 16 times what level 1 asks for.
constexpr int window_log_max = 23;

class ZstdCompressor : public Stage {
 public:
  explicit ZstdCompressor(Stage& next) : next_(next), output_(next), context_(ZSTD_createCCtx()) {
    if (!context_) throw Error(ErrorKind::internal, "zstd: no memory for a compressor");
    checked(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, 1));
    checked(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1));
  }

  void write(const Chunk& chunk) override {
    ZSTD_inBuffer input{chunk.bytes().data(), chunk.size(), 0};
    while (input.pos < input.size) step(input, ZSTD_e_continue);
  }

  void finish() override {
    ZSTD_inBuffer nothing{nullptr, 0, 0};
    while (step(nothing, ZSTD_e_end) != 0) {
    }
    output_.flush();
    next_.finish();
  }

 private:
  static std::size_t checked(std::size_t result) {
    if (ZSTD_isError(result)) {
      throw Error(ErrorKind::internal, fmt::format("zstd: {}", ZSTD_getErrorName(result)));
    }
    return result;
  }

  // What is still to be flushed.
  std::size_t step(ZSTD_inBuffer& input, ZSTD_EndDirective mode) {
    const std::span<std::byte> room = output_.room();
    ZSTD_outBuffer output{room.data(), room.size(), 0};
    const std::size_t left = checked(ZSTD_compressStream2(context_.get(), &output, &input, mode));
    output_.written(output.pos);
    return left;
  }

  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  Stage& next_;
  ChunkBuilder output_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class ZstdDecompressor : public Stage {
 public:
  explicit ZstdDecompressor(Stage& next) : next_(next), output_(next), context_(ZSTD_createDCtx()) {
    if (!context_ ||
        ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, window_log_max))) {
      throw Error(ErrorKind::internal, "zstd: no memory for a decompressor");
    }
  }

  void write(const Chunk& chunk) override {
    check_start(chunk.text());
    ZSTD_inBuffer input{chunk.bytes().data(), chunk.size(), 0};
    bool more = input.size > 0;
    while (more) {
      if (ended_) {
        if (input.pos == input.size) break;
        throw Error(
            ErrorKind::artifact,
            fmt::format("zstd: trailing data after the end, from byte {}", taken_ + input.pos));
      }
      const std::span<std::byte> room = output_.room();
      ZSTD_outBuffer output{room.data(), room.size(), 0};
      const std::size_t result = ZSTD_decompressStream(context_.get(), &output, &input);
      if (ZSTD_isError(result)) {
        throw Error(ErrorKind::artifact,
                    fmt::format("zstd: broken near byte {}: {}", taken_ + input.pos,
                                ZSTD_getErrorName(result)));
      }
      ended_ = result == 0;
      // A full output chunk can mean that the library holds more of it back.
      more = input.pos < input.size || output.pos == output.size;
      output_.written(output.pos);
    }
    taken_ += chunk.size();
  }

  void finish() override {
    if (!ended_) {
      throw Error(ErrorKind::artifact,
                  fmt::format("zstd: cut at byte {}, before the frame's checksum", taken_));
    }
    output_.flush();
    next_.finish();
  }

 private:
  // libzstd also takes what this format leaves out: skippable frames and frames without a checksum,
  // one of which would hide a bit that flipped in the content.
  void check_start(std::string_view text) {
    constexpr std::string_view magic = "\x28\xB5\x2F\xFD";
    constexpr unsigned checksum_flag = 1U << 2;
    constexpr unsigned unused_bit = 1U << 4;
    for (std::size_t at = taken_; at <= magic.size() && at - taken_ < text.size(); ++at) {
      const char c = text[at - taken_];
      if (at < magic.size() && c != magic[at]) {
        throw Error(ErrorKind::artifact, fmt::format("zstd: byte {} is not a frame's magic", at));
      }
      const auto descriptor = static_cast<unsigned char>(c);
      if (at == magic.size() && (descriptor & (checksum_flag | unused_bit)) != checksum_flag) {
        throw Error(ErrorKind::artifact, "zstd: the frame has no content checksum");
      }
    }
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  Stage& next_;
  ChunkBuilder output_;
  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::uint64_t taken_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Stage> make_zstd_compressor(Stage& next) {
  return std::make_unique<ZstdCompressor>(next);
}

std::unique_ptr<Stage> make_zstd_decompressor(Stage& next) {
  return std::make_unique<ZstdDecompressor>(next);
}

}  // namespace bba::pipe
