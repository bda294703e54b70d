#include "bba/docker/frame_stage.hpp"

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::docker {

namespace {
constexpr std::size_t kept = 4096;
}

void FrameStage::write(const Chunk& chunk) {
  const auto take = [&](const wire::FrameParser::Piece& piece) {
    const Chunk payload = chunk.sub(piece.offset, piece.length);
    if (piece.stream == wire::FrameStream::err) {
      stderr_tail_ += payload.text();
      if (stderr_tail_.size() > kept) stderr_tail_.erase(0, stderr_tail_.size() - kept);
    } else {
      if (stdout_head_.size() < kept) {
        stdout_head_ += payload.text().substr(0, kept - stdout_head_.size());
      }
      next_.write(payload);
    }
  };
  if (parser_.feed(chunk.bytes(), take) != wire::FrameError::none) {
    throw Error(ErrorKind::engine, fmt::format("{} at byte {} of the exec's stream",
                                               wire::describe(parser_.error()), parser_.offset()));
  }
}

void FrameStage::finish() {
  if (parser_.finish() != wire::FrameError::none) {
    throw Error(ErrorKind::capture, fmt::format("{} at byte {} of the exec's stream",
                                                wire::describe(parser_.error()), parser_.offset()));
  }
  next_.finish();
}

}  // namespace bba::docker
