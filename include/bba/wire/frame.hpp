// The frames that carry a program's stdout and stderr in one stream ("Stream format" of the Docker
// Engine API, POST /containers/{id}/attach): 8 bytes {stream, 0, 0, 0, length u32 big endian}, then
// the payload. Sans-I/O: bytes in, pieces out, errors by value; nothing here throws or allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "bba/base/bytes.hpp"

namespace bba::wire {

enum class FrameStream : std::uint8_t { in = 0, out = 1, err = 2 };

enum class FrameError {
  none,
  unknown_stream,   // the first byte is not 0, 1 or 2
  nonzero_padding,  // bytes 1 to 3 are not zero: this is not a frame
  cut_in_header,    // the stream ended inside a header
  cut_in_payload,   // the stream ended inside a payload
};
std::string_view describe(FrameError error);

class FrameParser {
 public:
  // A run of payload: `length` bytes at `offset` in what was passed to next().
  struct Piece {
    FrameStream stream;
    std::size_t offset;
    std::size_t length;
  };

  // The next piece of payload in `input` from `position` on, which moves past what was consumed.
  // nullopt: all of `input` is consumed, or error() says what is wrong (for good: later calls
  // consume nothing). A payload that is split over several inputs comes in several pieces; memory
  // does not depend on the lengths that headers claim.
  std::optional<Piece> next(ByteView input, std::size_t& position) noexcept;

  // Goes through all of `input` and hands each piece of payload to `take`. Returns error().
  // Throws only what `take` throws.
  template <class Take>
  FrameError feed(ByteView input, Take&& take) {
    std::size_t position = 0;
    while (const std::optional<Piece> piece = next(input, position)) take(*piece);
    return error_;
  }

  // To be called at the end of the stream: an end anywhere but between two frames is an error.
  FrameError finish() noexcept;

  FrameError error() const noexcept { return error_; }
  // Bytes consumed so far, for messages.
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::byte header_[8]{};
  std::size_t header_filled_ = 0;
  std::uint32_t payload_left_ = 0;
  std::uint64_t offset_ = 0;
  FrameStream stream_ = FrameStream::out;
  FrameError error_ = FrameError::none;
};

}  // namespace bba::wire
