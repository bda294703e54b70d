// The steps of executing a Capture; execute.cpp puts them together.
#pragma once

#include <memory>
#include <string>

#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/stages.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/service/service.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::capture {

struct CaptureContext {
  run::Session& session;
  run::Cleanup& cleanup;
  const service::Capture& capture;
  const store::OwnedDirectory& directory;
  pipe::Compression compression;
};

class FileStage : public pipe::Stage {
 public:
  explicit FileStage(store::ArtifactFile& file) : file_(file) {}
  void write(const Chunk& chunk) override { file_.write(chunk.bytes()); }
  void finish() override { file_.sync(); }

 private:
  store::ArtifactFile& file_;
};

// What every format check writes to: count -> compressor -> digest -> unnamed file.
struct ArtifactSink {
  ArtifactSink(const store::OwnedDirectory& directory, pipe::Compression compression);

  store::ArtifactFile file;
  FileStage to_file;
  pipe::DigestStage digest;
  std::unique_ptr<pipe::Stage> compressor;
  pipe::CountStage count;  // the first: bytes before compression
};

// Runs a program in the target's container and streams its stdout through `next`, which is finished
// only once the exit status is known to be 0. The program is in the run's journal until it is
// known to have ended. Throws Error{capture} with the program's own words.
void stream_exec(const CaptureContext& context, const wire::ExecConfig& exec, pipe::Stage& next,
                 const ProgressFn& moved);

// Each streams one part, checked, through `sink.count`, and finishes that.
service::PartFindings capture_dump(const CaptureContext& context, const service::Part& part,
                                   const service::ExecDump& dump, ArtifactSink& sink,
                                   const ProgressFn& moved);
service::PartFindings capture_archive(const CaptureContext& context, const service::Part& part,
                                      const service::PathArchive& archive, ArtifactSink& sink,
                                      const ProgressFn& moved);
service::PartFindings capture_directory(const CaptureContext& context,
                                        const service::HostDirectory& directory, ArtifactSink& sink,
                                        const ProgressFn& moved);

}  // namespace bba::capture
