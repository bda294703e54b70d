// Proves one artifact whole: its size, its digest, its own format, and what the manifest says of
// it.
#include "verify_artifact.hpp"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/pump.hpp"
#include "bba/pipe/stages.hpp"
#include "bba/services/registry.hpp"
#include "manifest_fault.hpp"

namespace bba::commands {

namespace {

// Yields the file in chunks and digests them, all on the thread that reads.
class FileReader {
 public:
  explicit FileReader(Fd file) : file_(std::move(file)) {
    // Only a hint to the kernel: a failure does not matter.
    ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  std::optional<Chunk> read() {
    constexpr std::size_t size = 256 << 10;
    auto memory = std::make_shared_for_overwrite<std::byte[]>(size);
    ssize_t length = 0;
    do {
      length = ::read(file_.get(), memory.get(), size);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
      throw system_error(ErrorKind::artifact, fmt::format("cannot be read at byte {}", bytes_),
                         errno);
    }
    if (length == 0) return std::nullopt;
    Chunk chunk(std::move(memory), static_cast<std::size_t>(length));
    hasher_.update(chunk.bytes());
    bytes_ += chunk.size();
    return chunk;
  }

  std::uint64_t size() const {
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) {
      throw system_error(ErrorKind::artifact, "its size is not known", errno);
    }
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::uint64_t bytes() const { return bytes_; }
  std::string sha256() { return hasher_.hex(); }

 private:
  Fd file_;
  pipe::Hasher hasher_;
  std::uint64_t bytes_ = 0;
};

void require(bool good, const std::string& fault) {
  if (!good) throw Error(ErrorKind::artifact, fault);
}

void compare_size(std::uint64_t size, std::uint64_t said) {
  require(size >= said, fmt::format("cut at byte {}: the manifest says {} bytes", size, said));
  require(size == said,
          fmt::format("trailing data after the end, from byte {}: it has {} bytes", said, size));
}

// Reads it once: the digest on this thread, decompression and check on another. Returns what it
// holds. Throws Error{artifact} at the first thing that is wrong.
std::string read_artifact(run::Session& session, const store::OwnedDirectory& directory,
                          const store::Manifest& manifest, const store::ArtifactRecord& record) {
  const std::string fault = record_fault(manifest, record);
  require(fault.empty(), fault);
  require(directory.contains(record.file), "missing: the manifest names it, and it is not there");
  FileReader file(directory.open_file(record.file));
  compare_size(file.size(), record.bytes);

  const auto content = services::require_kind(record.kind).content_check(record.found);
  pipe::CountStage count(content->stage());
  const auto decompressor =
      pipe::make_decompressor(*pipe::compression_by_name(record.compression), count);
  Progress progress{"reading " + record.file, 0, record.bytes};
  pipe::pump(
      [&] {
        session.stop.throw_if_requested();
        return file.read();
      },
      *decompressor,
      [&](std::size_t bytes) {
        progress.bytes += bytes;
        session.reporter.progress(progress);
      });
  decompressor->finish();

  const std::string sha256 = file.sha256();
  require(sha256 == record.sha256,
          fmt::format("its sha256 is {}, and the manifest says {}: its format is whole in all of "
                      "its {} bytes, so it is another file, or differs where the format ignores it",
                      sha256, record.sha256, file.bytes()));
  require(count.bytes() == record.uncompressed_bytes,
          fmt::format("{} bytes when decompressed, and the manifest says {}", count.bytes(),
                      record.uncompressed_bytes));
  const Json found = content->found();
  for (const auto& [key, value] : found.items()) {
    const Json* said = member(record.found, key);
    if (said == nullptr || *said == value) continue;
    const std::string difference = content->difference(key, *said, value);
    throw Error(ErrorKind::artifact, difference);
  }
  return fmt::format("{}: {}", record.kind, content->summary());
}

}  // namespace

ArtifactVerdict verify_artifact(run::Session& session, const store::OwnedDirectory& directory,
                                const store::Manifest& manifest,
                                const store::ArtifactRecord& record) {
  ArtifactVerdict verdict;
  verdict.file = record.file;
  verdict.kind = record.kind;
  verdict.bytes = record.bytes;
  try {
    verdict.holds = read_artifact(session, directory, manifest, record);
  } catch (const Error& error) {
    session.reporter.progress_end();
    if (error.kind() != ErrorKind::artifact) throw;
    verdict.broken = error.what();
  }
  session.reporter.progress_end();
  return verdict;
}

}  // namespace bba::commands
