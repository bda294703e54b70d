// A program in a live container that is fed piece by piece. It is in the journal while it runs: it
// would take the end of its input for the end of the data, so a run that is given up, or killed,
// ends it.
#pragma once

#include <string>

#include "bba/docker/frame_stage.hpp"
#include "bba/restore/scratch.hpp"
#include "bba/service/restore.hpp"

namespace bba::restore {

class LiveFeed : public service::OpenFeed {
 public:
  // `engine` must outlive it.
  LiveFeed(docker::Engine& engine, const ScratchContext& context, const std::string& container,
           wire::ExecConfig program);
  LiveFeed(const LiveFeed&) = delete;
  LiveFeed& operator=(const LiveFeed&) = delete;
  ~LiveFeed() override;

  void write(ByteView bytes) override;
  service::FeedResult finish() override;

 private:
  class Output : public pipe::Stage {
   public:
    void write(const Chunk& chunk) override;
    void finish() override {}
    std::string text;
  };

  // Before its input ends.
  void end_program() noexcept;

  docker::Engine& engine_;
  const ScratchContext& context_;
  std::string exec_;
  store::JournalEntry entry_;
  Output output_;
  docker::FrameStage frames_{output_};
  std::optional<docker::Attached> attached_;
  service::FeedResult fed_;
};

}  // namespace bba::restore
