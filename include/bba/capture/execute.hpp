// Executes a Capture: every part is streamed into an unnamed file and checked. Nothing is published
// yet.
#pragma once

#include <optional>
#include <vector>

#include "bba/pipe/compress.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/service/capture.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"

namespace bba::capture {

// A captured set that is not published yet. files[i] is that of manifest.artifacts[i].
struct CapturedSet {
  store::Manifest manifest;
  std::vector<store::ArtifactFile> files;
  std::optional<store::ArtifactFile> configuration;  // of the container
  std::vector<std::string> needs_hand;               // "kuma could not be unpaused: ..."
};

// Throws service::Refused where the service refuses and capture.if_refused says what to do
// instead.
CapturedSet execute(run::Session& session, run::Cleanup& cleanup, const service::Capture& capture,
                    const store::OwnedDirectory& directory, pipe::Compression compression,
                    Timestamp started);

// Gives all sets their names: the artifacts first, then the manifests, each step on disk before the
// next. Where a step fails, the names given so far are removed.
void publish(std::vector<CapturedSet>& sets, const store::OwnedDirectory& directory);

}  // namespace bba::capture
