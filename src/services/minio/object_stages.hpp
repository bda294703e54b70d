// Keep objects until they are proven, as nothing can be taken out of the tar again.
#pragma once

#include <string>

#include "bba/pipe/digest.hpp"
#include "bba/pipe/stage.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::services::minio {

// Small ones, in memory.
class CollectStage : public pipe::Stage {
 public:
  explicit CollectStage(std::uint64_t expected) : expected_(expected) {}
  void write(const Chunk& chunk) override {
    const std::uint64_t room = expected_ - content_.size();
    content_ += chunk.text().substr(0, room);
    came_ += chunk.size();
  }
  void finish() override {}
  const std::string& content() const { return content_; }  // no more than was expected
  std::uint64_t came() const { return came_; }

 private:
  std::uint64_t expected_;
  std::uint64_t came_ = 0;
  std::string content_;
};

// A large one, in a file without a name.
class KeepStage : public pipe::Stage {
 public:
  KeepStage(const store::OwnedDirectory& directory, std::uint64_t expected)
      : file_(directory), expected_(expected) {}
  void write(const Chunk& chunk) override {
    came_ += chunk.size();
    if (came_ > expected_) return;  // it is not the one that was listed
    file_.write(chunk.bytes());
    md5_.update(chunk.bytes());
  }
  void finish() override {}
  std::uint64_t came() const { return came_; }
  std::string md5() { return md5_.hex(); }
  int fd() const { return file_.fd(); }

 private:
  store::ArtifactFile file_;
  std::uint64_t expected_;
  std::uint64_t came_ = 0;
  pipe::Hasher md5_{pipe::DigestKind::md5};
};

}  // namespace bba::services::minio
