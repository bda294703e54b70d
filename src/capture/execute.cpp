#include "bba/capture/execute.hpp"

#include <algorithm>
#include <chrono>

#include "bba/base/text.hpp"
#include "bba/capture/capture_part.hpp"
#include "bba/run/quiesce.hpp"
#include "services/redis/save.hpp"
#include "bba/run/target.hpp"

namespace bba::ops {

namespace {

struct CapturedPart {
  store::ArtifactRecord record;
  store::ArtifactFile file;
  std::vector<std::string> warnings;
};

std::string suffix(const std::string& kind, pipe::Compression compression) {
  if (kind == "raft-snapshot") return "snap";
  return (kind == "sql" ? "sql" : "tar") + std::string(pipe::file_suffix(compression));
}

Moved progress_of(const CaptureContext& context, const classes::Part& part) {
  Progress progress{context.capture.target.module + ": " + part.label(), 0, part.expected_bytes};
  return [&reporter = context.session.reporter, progress](std::size_t bytes) mutable {
    progress.bytes += bytes;
    reporter.progress(progress);
  };
}

PartFindings capture_bytes(const CaptureContext& context, const classes::Part& part,
                           ArtifactTail& tail) {
  const Moved moved = progress_of(context, part);
  if (const auto* dump = std::get_if<classes::ExecDump>(&part.what)) {
    return capture_dump(context, *dump, tail, moved);
  }
  if (const auto* archive = std::get_if<classes::PathArchive>(&part.what)) {
    return capture_archive(context, *archive, tail, moved);
  }
  if (const auto* directory = std::get_if<classes::HostDirectory>(&part.what)) {
    return capture_directory(context, *directory, tail, moved);
  }
  return capture_objects(context, std::get<classes::ObjectMirror>(part.what), tail, moved);
}

CapturedPart capture_part(const CaptureContext& context, const classes::Part& part,
                          Timestamp started) {
  const std::string kind = part.kind();
  // A raft snapshot is compressed already.
  const pipe::Compression compression =
      kind == "raft-snapshot" ? pipe::Compression::none : context.compression;
  ArtifactTail tail(context.directory, compression);
  PartFindings findings = capture_bytes(context, part, tail);

  store::ArtifactRecord record;
  record.part = part.name;
  record.file = store::artifact_name(context.capture.target.module, started, part.name,
                                     suffix(kind, compression));
  // The data directory of a server that has never saved holds no RDB: it is a plain archive.
  record.kind =
      kind == "rdb-directory" && member(findings.found, "rdb_file") == nullptr ? "tar" : kind;
  record.compression = pipe::name(compression);
  record.source = part.source();
  record.bytes = tail.digest.bytes();
  record.sha256 = tail.digest.sha256();
  record.uncompressed_bytes = tail.count.bytes();
  record.found = std::move(findings.found);
  record.restore = classes::restore_commands(context.capture, part, record.file);
  return {std::move(record), std::move(tail.file), std::move(findings.warnings)};
}

store::ContainerRecord container_record(Session& session, const classes::Capture& capture) {
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

// The RDB that the server has saved is in one of the artifacts, and with it what it has to hold.
void note_keys(Session& session, const classes::Capture& capture, const RedisSaved& saved,
               std::vector<store::ArtifactRecord>& artifacts) {
  for (store::ArtifactRecord& artifact : artifacts) {
    const auto written = string_member(artifact.found, "rdb_written");
    if (!written) continue;
    artifact.found["keyspace"] =
        keyspace_of(session, capture.target.container.id, *capture.save_first, saved,
                    parse_rfc3339(*written).value_or(Timestamp()));
    return;
  }
  throw Error(ErrorKind::capture, "the server has saved, and its RDB is not in what was archived",
              fmt::format("set modules.{}.paths to the server's directory in the configuration, or "
                          "take its files as they are with --class E",
                          capture.target.module));
}

// Without either of them the directory holds nothing of what the server knows, however many other
// files it has.
void require_redis_data(const classes::Capture& capture,
                        const std::vector<store::ArtifactRecord>& artifacts) {
  for (const store::ArtifactRecord& artifact : artifacts) {
    const Json* aof = member(artifact.found, "aof_files");
    if (member(artifact.found, "rdb_file") != nullptr || (aof != nullptr && *aof != 0)) return;
  }
  Error error(ErrorKind::capture,
              "the directory holds neither an RDB nor an append-only file: what the server knows "
              "is in its memory alone",
              "where its directory is another, name it with --path; `--class E` takes the files as "
              "they are");
  if (capture.fallback) error.in(*capture.fallback);
  throw error;
}

std::string consistency_mode(const classes::Capture& capture) {
  const wire::Container& container = capture.target.container;
  if (!container.running) return "stopped";
  if (container.paused) return "paused";
  return std::string(classes::name(capture.consistency));
}

}  // namespace

ArtifactTail::ArtifactTail(const store::BackupDirectory& directory, pipe::Compression compression)
    : file(directory),
      to_file(file),
      digest(&to_file),
      compressor(pipe::make_compressor(compression, digest)),
      count(*compressor) {}

CapturedSet execute(Session& session, Debts& debts, const classes::Capture& capture,
                    const store::BackupDirectory& directory, pipe::Compression compression,
                    Timestamp started) {
  const CaptureContext context{session, debts, capture, directory, compression};
  CapturedSet set;
  store::Manifest& manifest = set.manifest;
  manifest.tool_version = BBA_VERSION;
  manifest.module = capture.target.module;
  manifest.module_class = std::string(1, capture.target.module_class);
  manifest.rule = capture.target.rule;
  manifest.strategy = capture.strategy;
  manifest.fallback = capture.fallback;
  manifest.started = started;
  manifest.host = host_name();
  const wire::Version version = session.engine.version();
  manifest.engine = {{"version", version.version}, {"api_version", version.api_version}};
  manifest.container = container_record(session, capture);
  manifest.facts = capture.facts;
  manifest.incomplete = capture.incomplete;
  manifest.warnings = capture.warnings;
  manifest.follow_ups = capture.follow_ups;

  std::optional<RedisSaved> saved;
  if (capture.save_first) {
    saved = with_context("BGSAVE", [&] {
      return save_redis(session, capture.target.container.id, *capture.save_first);
    });
  }
  const Quieted quieted = while_quiet(session, debts, capture, [&] {
    for (const classes::Part& part : capture.parts) {
      CapturedPart captured = capture_part(context, part, started);
      session.reporter.progress_end();
      if (!captured.file.unnamed()) {
        manifest.warnings.push_back(
            "the filesystem of the backup directory has no unnamed files (O_TMPFILE): a dot-file "
            "was "
            "used");
      }
      manifest.warnings.insert(manifest.warnings.end(), captured.warnings.begin(),
                               captured.warnings.end());
      manifest.artifacts.push_back(std::move(captured.record));
      set.files.push_back(std::move(captured.file));
    }
  });
  if (saved) {
    note_keys(session, capture, *saved, manifest.artifacts);
  } else if (capture.target.module_class == 'B') {
    require_redis_data(capture, manifest.artifacts);
  }
  manifest.consistency.mode = consistency_mode(capture);
  manifest.consistency.paused = quieted.records;
  set.needs_hand = quieted.needs_hand;
  for (const std::string& one : capture.incomplete) {
    set.needs_hand.push_back("not in the backup: " + one);
  }
  // The host's clock may have been set back meanwhile.
  manifest.finished = std::max(now(), started);
  return set;
}

}  // namespace bba::ops
