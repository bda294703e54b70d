// An artifact read back: its bytes, decompressed, pulled one chunk after another. A thread reads
// ahead.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "bba/base/stop.hpp"
#include "bba/pipe/buffer.hpp"
#include "bba/pipe/stage.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"

namespace bba::restore {

class ArtifactSource {
 public:
  // Makes a stage between the decompressor and the caller, given the next stage.
  using Middle = std::function<std::unique_ptr<pipe::Stage>(pipe::Stage& next)>;

  ArtifactSource(const Stop& stop, const store::OwnedDirectory& directory,
                 const store::ArtifactRecord& record, Middle middle = {});
  ArtifactSource(const ArtifactSource&) = delete;
  ArtifactSource& operator=(const ArtifactSource&) = delete;
  ~ArtifactSource();

  // nullopt once everything was read and is whole; what the reading thread threw is thrown here.
  std::optional<Chunk> next();
  // Pulls the rest.
  void drain();

 private:
  void read();

  const Stop& stop_;
  const store::ArtifactRecord& record_;
  Middle middle_;
  Fd file_;
  pipe::BoundedBuffer buffer_;
  std::exception_ptr failure_;
  std::thread reader_;
};

}  // namespace bba::restore
