#include "artifact_source.hpp"

#include <cerrno>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/pipe/pump.hpp"

namespace bba::restore {

namespace {

class BufferStage : public pipe::Stage {
 public:
  explicit BufferStage(pipe::BoundedBuffer& buffer) : buffer_(buffer) {}
  void write(const Chunk& chunk) override {
    // Nobody sees this error: the caller has gone.
    if (!buffer_.push(chunk)) throw Error(ErrorKind::internal, "nothing more is wanted");
  }
  void finish() override {}

 private:
  pipe::BoundedBuffer& buffer_;
};

}  // namespace

ArtifactSource::ArtifactSource(const Stop& stop, const store::OwnedDirectory& directory,
                               const store::ArtifactRecord& record, Middle middle)
    : stop_(stop),
      record_(record),
      middle_(std::move(middle)),
      file_(directory.open_file(record.file)),
      buffer_(pipe::pump_buffer_bytes),
      reader_([this] { read(); }) {}

ArtifactSource::~ArtifactSource() {
  buffer_.leave();
  if (reader_.joinable()) reader_.join();
}

void ArtifactSource::read() {
  try {
    const auto compression = pipe::compression_by_name(record_.compression);
    if (!compression) {
      throw Error(ErrorKind::artifact, "unknown compression: " + record_.compression);
    }
    BufferStage last(buffer_);
    const std::unique_ptr<pipe::Stage> between = middle_ ? middle_(last) : nullptr;
    const auto first = pipe::make_decompressor(*compression, between ? *between : last);
    constexpr std::size_t size = 256 << 10;
    for (;;) {
      auto memory = std::make_shared_for_overwrite<std::byte[]>(size);
      const ssize_t length = ::read(file_.get(), memory.get(), size);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0) throw system_error(ErrorKind::artifact, "reading it", errno);
      if (length == 0) break;
      first->write(Chunk(std::move(memory), static_cast<std::size_t>(length)));
    }
    first->finish();
    buffer_.end();
  } catch (...) {
    failure_ = std::current_exception();
    buffer_.abort();
  }
}

std::optional<Chunk> ArtifactSource::next() {
  stop_.throw_if_requested();
  if (std::optional<Chunk> chunk = buffer_.pop()) return chunk;
  if (reader_.joinable()) reader_.join();
  if (failure_) std::rethrow_exception(failure_);
  return std::nullopt;
}

void ArtifactSource::drain() {
  while (next()) {
  }
}

}  // namespace bba::restore
