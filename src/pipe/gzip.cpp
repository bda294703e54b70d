// gzip through ISA-L.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <isa-l/igzip_lib.h>

#include "bba/base/text.hpp"
#include "chunk_builder.hpp"
#include "codec.hpp"

namespace bba::pipe {

namespace {

// ISA-L counts with 32 bits: hands `action` pieces of `bytes` that it can take.
template <class Action>
void in_pieces(ByteView bytes, Action action) {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max() / 2;
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), most);
    action(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

// ISA-L's pointers are not const, but it only reads through next_in.
std::uint8_t* input_pointer(ByteView bytes) {
  return reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(bytes.data()));
}

class GzipCompressor : public Stage {
 public:
  explicit GzipCompressor(Stage& next)
      : next_(next), output_(next), level_memory_(ISAL_DEF_LVL2_DEFAULT) {
    isal_deflate_init(&stream_);
    stream_.gzip_flag = IGZIP_GZIP;
    stream_.level = 2;
    stream_.level_buf = level_memory_.data();
    stream_.level_buf_size = static_cast<std::uint32_t>(level_memory_.size());
  }

  void write(const Chunk& chunk) override {
    in_pieces(chunk.bytes(), [&](ByteView piece) {
      stream_.next_in = input_pointer(piece);
      stream_.avail_in = static_cast<std::uint32_t>(piece.size());
      while (stream_.avail_in > 0) step();
    });
  }

  void finish() override {
    stream_.end_of_stream = 1;
    while (stream_.internal_state.state != ZSTATE_END) step();
    output_.flush();
    next_.finish();
  }

 private:
  void step() {
    const std::span<std::byte> room = output_.room();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(room.data());
    stream_.avail_out = static_cast<std::uint32_t>(room.size());
    const int result = isal_deflate(&stream_);
    if (result != COMP_OK) {
      throw Error(ErrorKind::internal, fmt::format("gzip: isal_deflate returned {}", result));
    }
    output_.written(room.size() - stream_.avail_out);
  }

  Stage& next_;
  ChunkBuilder output_;
  std::vector<std::uint8_t> level_memory_;
  isal_zstream stream_{};
};

std::string_view meaning(int result) {
  switch (result) {
    case ISAL_INVALID_WRAPPER:
      return "this is not a gzip header";
    case ISAL_UNSUPPORTED_METHOD:
      return "the header names a method other than deflate";
    case ISAL_INCORRECT_CHECKSUM:
      return "the content is not what the trailer's CRC and length say";
    case ISAL_INVALID_LOOKBACK:
      return "a reference to before the start of the data";
    default:
      return "this is not deflate data";
  }
}

class GzipDecompressor : public Stage {
 public:
  explicit GzipDecompressor(Stage& next) : next_(next), output_(next) {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;  // verifies CRC and length in the trailer
    isal_gzip_header_init(&header_);
  }

  void write(const Chunk& chunk) override {
    in_pieces(chunk.bytes(), [&](ByteView piece) {
      state_.next_in = input_pointer(piece);
      state_.avail_in = static_cast<std::uint32_t>(piece.size());
      inflate();
      taken_ += piece.size();
    });
  }

  void finish() override {
    if (state_.block_state != ISAL_BLOCK_FINISH) {
      throw Error(ErrorKind::artifact,
                  fmt::format("gzip: cut at byte {}, before the trailer's end", taken_));
    }
    output_.flush();
    next_.finish();
  }

 private:
  // Not left to isal_inflate: that one (2.30) has the header's flags on its stack, and reads what
  // happens to be there when a header with a name comes in two pieces.
  bool read_header() {
    if (state_.wrapper_flag != 0) return true;
    const std::uint32_t size = state_.avail_in;
    const int result = isal_read_gzip_header(&state_, &header_);
    if (result < 0) throw broken(size, result);
    return result == ISAL_DECOMP_OK;
  }

  // `size`: what avail_in was before the call.
  Error broken(std::uint32_t size, int result) const {
    return Error(ErrorKind::artifact,
                 fmt::format("gzip: broken near byte {}: {}", taken_ + size - state_.avail_in,
                             meaning(result)));
  }

  void inflate() {
    const std::uint32_t size = state_.avail_in;
    bool more = read_header() && state_.avail_in > 0;
    while (more) {
      if (state_.block_state == ISAL_BLOCK_FINISH) {
        if (state_.avail_in == 0) return;
        throw Error(ErrorKind::artifact,
                    fmt::format("gzip: trailing data after the end, from byte {}",
                                taken_ + size - state_.avail_in));
      }
      const std::span<std::byte> room = output_.room();
      state_.next_out = reinterpret_cast<std::uint8_t*>(room.data());
      state_.avail_out = static_cast<std::uint32_t>(room.size());
      const int result = isal_inflate(&state_);
      if (result != ISAL_DECOMP_OK) throw broken(size, result);
      // A full output chunk can mean that ISA-L holds more of it back.
      more = state_.avail_in > 0 || state_.avail_out == 0;
      output_.written(room.size() - state_.avail_out);
    }
  }

  Stage& next_;
  ChunkBuilder output_;
  std::uint64_t taken_ = 0;
  inflate_state state_{};
  isal_gzip_header header_{};
};

}  // namespace

std::unique_ptr<Stage> make_gzip_compressor(Stage& next) {
  return std::make_unique<GzipCompressor>(next);
}

std::unique_ptr<Stage> make_gzip_decompressor(Stage& next) {
  return std::make_unique<GzipDecompressor>(next);
}

}  // namespace bba::pipe
