#include "bba/wire/frame.hpp"

#include <algorithm>

namespace bba::wire {

std::string_view describe(FrameError error) {
  switch (error) {
    case FrameError::none:
      return "no error";
    case FrameError::unknown_stream:
      return "a frame names a stream that does not exist";
    case FrameError::nonzero_padding:
      return "what should be a frame header is not one";
    case FrameError::cut_in_header:
      return "the stream ended inside a frame header";
    case FrameError::cut_in_payload:
      return "the stream ended inside a frame";
  }
  return "unknown frame error";
}

std::optional<FrameParser::Piece> FrameParser::next(ByteView input,
                                                    std::size_t& position) noexcept {
  while (error_ == FrameError::none && position < input.size()) {
    if (payload_left_ > 0) {
      const std::size_t length = std::min<std::size_t>(payload_left_, input.size() - position);
      const Piece piece{stream_, position, length};
      payload_left_ -= static_cast<std::uint32_t>(length);
      position += length;
      offset_ += length;
      return piece;
    }
    // Each byte is judged as it comes, so that the verdict does not depend on how the input was
    // cut.
    const auto byte = std::to_integer<std::uint8_t>(input[position]);
    if (header_filled_ == 0 && byte > static_cast<std::uint8_t>(FrameStream::err)) {
      error_ = FrameError::unknown_stream;
    } else if (header_filled_ >= 1 && header_filled_ <= 3 && byte != 0) {
      error_ = FrameError::nonzero_padding;
    } else {
      header_[header_filled_++] = input[position++];
      ++offset_;
      if (header_filled_ == sizeof header_) {
        stream_ = static_cast<FrameStream>(header_[0]);
        for (std::size_t i = 4; i < sizeof header_; ++i) {
          payload_left_ = payload_left_ << 8 | std::to_integer<std::uint32_t>(header_[i]);
        }
        header_filled_ = 0;
      }
    }
  }
  return std::nullopt;
}

FrameError FrameParser::finish() noexcept {
  if (error_ == FrameError::none) {
    if (header_filled_ > 0) {
      error_ = FrameError::cut_in_header;
    } else if (payload_left_ > 0) {
      error_ = FrameError::cut_in_payload;
    }
  }
  return error_;
}

}  // namespace bba::wire
