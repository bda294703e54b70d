#include "bba/capture/execute.hpp"

#include <algorithm>
#include <chrono>

#include "bba/base/text.hpp"
#include "bba/run/host_name.hpp"
#include "bba/run/quiesce.hpp"
#include "bba/run/recorded_container.hpp"
#include "bba/service/restore_steps.hpp"
#include "parts.hpp"

namespace bba::capture {

namespace {

struct CapturedPart {
  store::ArtifactRecord record;
  store::ArtifactFile file;
  std::vector<std::string> warnings;
};

ProgressFn progress_of(const CaptureContext& context, const service::Part& part) {
  Progress progress{context.capture.target.module + ": " + part.label(), 0, part.expected_bytes};
  return [&reporter = context.session.reporter, progress](std::size_t bytes) mutable {
    progress.bytes += bytes;
    reporter.progress(progress);
  };
}

service::PartContext part_context(const CaptureContext& context) {
  return {context.session.engine,
          context.session.reporter,
          context.session.stop,
          context.capture,
          context.directory,
          [&context](const wire::ExecConfig& program, pipe::Stage& next, const ProgressFn& moved) {
            stream_exec(context, program, next, moved);
          }};
}

service::PartFindings capture_bytes(const CaptureContext& context, const service::Part& part,
                                    ArtifactSink& sink) {
  const ProgressFn moved = progress_of(context, part);
  if (const auto* dump = std::get_if<service::ExecDump>(&part.what)) {
    return capture_dump(context, part, *dump, sink, moved);
  }
  if (const auto* archive = std::get_if<service::PathArchive>(&part.what)) {
    return capture_archive(context, part, *archive, sink, moved);
  }
  if (const auto* directory = std::get_if<service::HostDirectory>(&part.what)) {
    return capture_directory(context, *directory, sink, moved);
  }
  return context.capture.service->stream_part(
      part_context(context), std::get<service::ServicePart>(part.what), sink.count, moved);
}

CapturedPart capture_part(const CaptureContext& context, const service::Part& part,
                          Timestamp started) {
  const pipe::Compression compression =
      part.kind->compressible() ? context.compression : pipe::Compression::none;
  ArtifactSink sink(context.directory, compression);
  service::PartFindings findings = capture_bytes(context, part, sink);

  store::ArtifactRecord record;
  record.part = part.name;
  record.file = store::artifact_name(
      context.capture.target.module, started, part.name,
      std::string(part.kind->suffix()) + std::string(pipe::file_suffix(compression)));
  record.kind = part.kind->recorded_name(findings.found);
  record.compression = pipe::name(compression);
  record.source = part.source();
  record.bytes = sink.digest.bytes();
  record.sha256 = sink.digest.sha256();
  record.uncompressed_bytes = sink.count.bytes();
  record.found = std::move(findings.found);
  record.left_out = part.left_out();
  return {std::move(record), std::move(sink.file), std::move(findings.warnings)};
}

// The commands that restore the set by hand: made for all artifacts together, so that containers
// are stopped once.
void add_restore_commands(store::Manifest& manifest, const service::Capture& capture) {
  std::vector<service::Restore> restores;
  for (std::size_t i = 0; i < manifest.artifacts.size(); ++i) {
    restores.push_back(capture.parts[i].kind->restore(manifest, manifest.artifacts[i]));
  }
  auto commands =
      service::shell_commands(capture.target.container.name, manifest.artifacts, restores);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    manifest.artifacts[i].restore = std::move(commands[i]);
  }
}

store::ContainerRecord container_record(run::Session& session, const service::Capture& capture) {
  const wire::Container& container = capture.target.container;
  store::ContainerRecord record;
  record.id = container.id;
  record.name = container.name;
  record.image = container.config_image;
  record.image_id = container.image;
  try {
    const wire::Image image = session.engine.inspect_image(container.image);
    if (!image.repo_digests.empty()) record.image_digest = image.repo_digests.front();
  } catch (const docker::ApiError& error) {
    if (error.status() != 404)
      throw;  // the image was removed under the running container: no digest
  }
  record.compose = Json::object();
  for (const auto& [label, key] : {std::pair{"com.docker.compose.project", "project"},
                                   {"com.docker.compose.service", "service"},
                                   {"com.docker.compose.container-number", "container_number"},
                                   {"com.docker.compose.project.working_dir", "working_dir"},
                                   {"com.docker.compose.project.config_files", "config_files"}}) {
    const auto found = container.labels.find(label);
    if (found != container.labels.end()) record.compose[key] = found->second;
  }
  return record;
}

// What it takes to make the container again: data alone does not bring a service back whose image
// or configuration was changed.
void add_configuration(const CaptureContext& context, CapturedSet& set) {
  const std::string text = run::container_record(context.capture.target.container);
  store::ArtifactFile& file = set.configuration.emplace(context.directory);
  pipe::Hasher hasher;
  hasher.update(as_bytes(text));
  file.write(as_bytes(text));
  file.sync();
  store::Manifest& manifest = set.manifest;
  manifest.container.configuration = {store::configuration_name(manifest.module, manifest.started),
                                      text.size(), hasher.hex()};
}

std::string consistency_mode(const service::Capture& capture) {
  const wire::Container& container = capture.target.container;
  if (!container.running) return "stopped";
  if (container.paused) return "paused";
  return std::string(name(capture.consistency));
}

}  // namespace

ArtifactSink::ArtifactSink(const store::OwnedDirectory& directory, pipe::Compression compression)
    : file(directory),
      to_file(file),
      digest(&to_file),
      compressor(pipe::make_compressor(compression, digest)),
      count(*compressor) {}

CapturedSet execute(run::Session& session, run::Cleanup& cleanup, const service::Capture& capture,
                    const store::OwnedDirectory& directory, pipe::Compression compression,
                    Timestamp started) {
  const CaptureContext context{session, cleanup, capture, directory, compression};
  CapturedSet set;
  store::Manifest& manifest = set.manifest;
  manifest.tool_version = BBA_VERSION;
  manifest.module = capture.target.module;
  manifest.module_class = std::string(1, capture.target.module_class);
  manifest.rule = capture.target.rule;
  manifest.strategy = capture.strategy;
  manifest.fallback = capture.fallback;
  manifest.started = started;
  manifest.host = run::host_name();
  const wire::Version version = session.engine.version();
  manifest.engine = {{"version", version.version}, {"api_version", version.api_version}};
  manifest.container = container_record(session, capture);
  manifest.facts = capture.facts;
  manifest.incomplete = capture.incomplete;
  manifest.warnings = capture.warnings;
  manifest.follow_ups = capture.follow_ups;

  const service::PartContext service_context = part_context(context);
  const Json before = capture.service->before_parts(service_context);
  const run::QuiesceOutcome quiesced = run::while_quiet(session, cleanup, capture, [&] {
    for (const service::Part& part : capture.parts) {
      CapturedPart captured = capture_part(context, part, started);
      session.reporter.progress_end();
      if (!captured.file.unnamed()) {
        manifest.warnings.push_back(
            "the filesystem of the backup directory has no unnamed files (O_TMPFILE): a dot-file "
            "was used");
      }
      manifest.warnings.insert(manifest.warnings.end(), captured.warnings.begin(),
                               captured.warnings.end());
      manifest.artifacts.push_back(std::move(captured.record));
      set.files.push_back(std::move(captured.file));
    }
  });
  capture.service->after_parts(service_context, before, manifest.artifacts);
  add_configuration(context, set);
  add_restore_commands(manifest, capture);
  manifest.consistency.mode = consistency_mode(capture);
  manifest.consistency.paused = quiesced.records;
  set.needs_hand = quiesced.needs_hand;
  // The host's clock may have been set back meanwhile.
  manifest.finished = std::max(now(), started);
  return set;
}

}  // namespace bba::capture
