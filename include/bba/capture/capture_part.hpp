// The pieces that capturing any part is made of; execute.cpp puts them together.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bba/service/capture.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/capture/stages.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/store/artifact_file.hpp"

namespace bba::ops {

struct CaptureContext {
  Session& session;
  Debts& debts;
  const classes::Capture& capture;
  const store::BackupDirectory& directory;
  pipe::Compression compression;
};

// What stands behind every format check: count -> compressor -> digest -> unnamed file.
struct ArtifactTail {
  ArtifactTail(const store::BackupDirectory& directory, pipe::Compression compression);

  store::ArtifactFile file;
  FileStage to_file;
  pipe::DigestStage digest;
  std::unique_ptr<pipe::Stage> compressor;
  CountStage count;  // the first: bytes before compression
};

using Moved = std::function<void(std::size_t)>;

// Runs a program in the target's container and streams its stdout through `next`, which is finished
// only once the exit status is known to be 0. The program is owed to the world from its start to
// its certain end. Throws Error{capture} with the program's own words.
void stream_exec(const CaptureContext& context, const wire::ExecConfig& exec, pipe::Stage& next,
                 const Moved& moved);

// What a part left in the artifact: ArtifactRecord::found, and what to warn of.
struct PartFindings {
  Json found;
  std::vector<std::string> warnings;
};

// The bytes of one part, all checked, through `tail.count`, finished.
PartFindings capture_dump(const CaptureContext& context, const classes::ExecDump& dump,
                          ArtifactTail& tail, const Moved& moved);
PartFindings capture_archive(const CaptureContext& context, const classes::PathArchive& archive,
                             ArtifactTail& tail, const Moved& moved);
PartFindings capture_objects(const CaptureContext& context, const classes::ObjectMirror& mirror,
                             ArtifactTail& tail, const Moved& moved);
PartFindings capture_directory(const CaptureContext& context,
                               const classes::HostDirectory& directory, ArtifactTail& tail,
                               const Moved& moved);

}  // namespace bba::ops
