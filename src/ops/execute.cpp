#include "bba/ops/execute.hpp"

#include <chrono>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/ops/exec_end.hpp"
#include "bba/ops/listing.hpp"
#include "bba/ops/pump.hpp"
#include "bba/ops/quiesce.hpp"
#include "bba/ops/stages.hpp"
#include "bba/pipe/check.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

// Everything behind the format check, and the file: count -> compressor -> digest -> file.
struct Tail {
  Tail(const store::BackupDirectory& directory, pipe::Compression compression)
      : file(directory),
        to_file(file),
        digest(&to_file),
        compressor(pipe::make_compressor(compression, digest)),
        count(*compressor) {}

  store::ArtifactFile file;
  FileStage to_file;
  pipe::DigestStage digest;
  std::unique_ptr<pipe::Stage> compressor;
  CountStage count;
};

struct Context {
  Session& session;
  Debts& debts;
  const classes::Capture& capture;
  const store::BackupDirectory& directory;
  pipe::Compression compression;
  Timestamp started;
};

struct CapturedPart {
  store::ArtifactRecord record;
  store::ArtifactFile file;
  std::vector<std::string> warnings;
};

std::string suffix(const classes::Part& part, pipe::Compression compression) {
  const std::string kind = part.kind();
  if (kind == "raft-snapshot") return "snap";
  return (kind == "sql" ? "sql" : "tar") + std::string(pipe::file_suffix(compression));
}

CapturedPart finished(const Context& context, const classes::Part& part,
                      pipe::Compression compression, Tail& tail, Json found) {
  store::ArtifactRecord record;
  record.part = part.name;
  record.file = store::artifact_name(context.capture.target.module, context.started, part.name,
                                     suffix(part, compression));
  record.kind = part.kind();
  record.compression = pipe::name(compression);
  record.source = part.source();
  record.bytes = tail.digest.bytes();
  record.sha256 = tail.digest.sha256();
  record.uncompressed_bytes = tail.count.bytes();
  record.found = std::move(found);
  record.restore = classes::restore_commands(context.capture, part, record.file);
  return {std::move(record), std::move(tail.file), {}};
}

std::function<void(std::size_t)> progress_of(const Context& context, const classes::Part& part) {
  Progress progress{context.capture.target.module + ": " + part.label(), 0, part.expected_bytes};
  return [&reporter = context.session.reporter, progress](std::size_t bytes) mutable {
    progress.bytes += bytes;
    reporter.progress(progress);
  };
}

std::string last_lines(std::string_view text) {
  text = trimmed(text);
  constexpr std::size_t most = 400;
  if (text.size() > most) text = text.substr(text.size() - most);
  return std::string(text);
}

// What stands between the exec's stdout and the compressor.
struct DumpCheck {
  explicit DumpCheck(classes::ExecDump::Format wanted) : format(wanted) {}
  pipe::Stage& stage() {
    return format == classes::ExecDump::Format::sql ? static_cast<pipe::Stage&>(sql) : snapshot;
  }
  Json found() const {
    if (format == classes::ExecDump::Format::sql) return {{"databases", sql.databases()}};
    return {{"index", snapshot.index()},
            {"term", snapshot.term()},
            {"state_bytes", snapshot.state_bytes()}};
  }

  classes::ExecDump::Format format;
  pipe::SqlTailCheck sql;
  pipe::SnapshotCheck snapshot;
};

// Runs the program and streams its stdout. The exec is owed to the world from before its start
// until its end is certain.
CapturedPart capture_exec(const Context& context, const classes::Part& part,
                          const classes::ExecDump& dump) {
  Session& session = context.session;
  const std::string& container = context.capture.target.container.id;
  const bool compressed_already = dump.format == classes::ExecDump::Format::raft_snapshot;
  const pipe::Compression compression =
      compressed_already ? pipe::Compression::none : context.compression;
  const std::string& program = dump.exec.argv.front();

  DumpCheck check(dump.format);
  Tail tail(context.directory, compression);
  TeeStage tee{&check.stage(), &tail.count};
  FrameStage frames(tee);

  const std::string exec = session.engine.create_exec(container, dump.exec);
  const store::JournalEntry debt{store::Debt::exec, exec,
                                 program + " in " + context.capture.target.container.name};
  context.debts.owe(debt);

  const auto end_program = [&] {
    docker::Limits patient;
    patient.silence = std::chrono::seconds(20);
    docker::Engine engine = session.engine.unstoppable(patient);
    if (end_exec(engine, exec)) {
      context.debts.settle(debt);
    } else {
      session.reporter.warning(program + " may still run inside " +
                               context.capture.target.container.name +
                               ": its process is not on this host");
    }
  };
  // The program's own words are worth more than "the stream ended", so they are looked for in every
  // failure.
  const auto explain = [&](Error& error) {
    const std::string words = last_lines(frames.stderr_tail());
    if (error.kind() == ErrorKind::artifact || error.kind() == ErrorKind::engine) {
      error.with_kind(ErrorKind::capture);
    }
    if (!words.empty()) error.with_hint(program + " said: " + printable(words));
    error.in(program);
  };

  try {
    docker::Body body = session.engine.start_exec(exec);
    pump([&] { return body.read(); }, frames, progress_of(context, part));
    body.close();
    const auto exit_code = session.engine.exit_code(exec, std::chrono::seconds(10));
    if (!exit_code) {
      throw Error(ErrorKind::capture, "its exit status is not known: the output cannot be trusted",
                  "try again; if it stays so, look at the engine's log");
    }
    context.debts.settle(debt);
    if (*exit_code != 0) {
      const bool not_started = *exit_code == 126 || *exit_code == 127;
      const std::string words =
          last_lines(frames.stderr_tail().empty() ? frames.stdout_head() : frames.stderr_tail());
      throw Error(ErrorKind::capture,
                  fmt::format("{} with exit code {}{}{}",
                              not_started ? "it could not be started, and ended" : "it ended",
                              *exit_code, words.empty() ? "" : ": ", words),
                  not_started ? "is the program in the image, and in PATH?" : "");
    }
    frames.finish();
  } catch (Error& error) {
    if (context.debts.owes(debt)) end_program();
    explain(error);
    throw;
  } catch (...) {
    if (context.debts.owes(debt)) end_program();
    throw;
  }
  return finished(context, part, compression, tail, check.found());
}

Json found_of(const ArchiveCounts& counts, const ArchiveCheck& check) {
  Json found = {
      {"entries",
       counts.files + counts.directories + counts.symlinks + counts.hard_links + counts.others},
      {"files", counts.files},
      {"directories", counts.directories},
      {"symlinks", counts.symlinks},
      {"hard_links", counts.hard_links},
      {"others", counts.others},
      {"content_bytes", counts.content_bytes},
      {"not_carried",
       {{"sockets", counts.sockets}, {"user_xattrs", counts.user_xattrs}, {"acls", counts.acls}}},
      {"sparse_expanded", counts.sparse}};
  if (counts.changed > 0) found["changed_while_read"] = counts.changed;
  if (check.rdb_seen()) found["rdb_version"] = check.rdb_version();
  return found;
}

std::vector<std::string> archive_warnings(const std::string& path, const ArchiveCounts& counts) {
  std::vector<std::string> warnings;
  if (counts.user_xattrs > 0) {
    warnings.push_back(
        fmt::format("{}: user.* extended attributes of {} entries are not in the engine's tar",
                    path, counts.user_xattrs));
  }
  if (counts.acls > 0) {
    warnings.push_back(
        fmt::format("{}: POSIX ACLs of {} entries are not in the engine's tar", path, counts.acls));
  }
  if (counts.changed > 0) {
    warnings.push_back(
        fmt::format("{}: {} entries changed while they were read, the first {}: they may be torn",
                    path, counts.changed, counts.first_changed));
  }
  return warnings;
}

// Where this host sees a path of the container.
std::string host_path(const classes::Capture& capture, const classes::PathArchive& archive) {
  if (!archive.host_path.empty()) return archive.host_path;
  if (capture.target.container.pid <= 0) {
    throw Error(ErrorKind::container,
                fmt::format("{} is on no mount, and {} is not running: nothing here could prove "
                            "that its archive is whole",
                            archive.path, capture.target.container.name),
                "start the container, or put the data on a volume");
  }
  return fmt::format("/proc/{}/root{}", capture.target.container.pid, archive.path);
}

bool engine_remaps_users(Session& session) {
  for (const std::string& option : session.engine.info().security_options) {
    if (option.find("name=userns") != option.npos || option.find("name=rootless") != option.npos) {
      return true;
    }
  }
  return false;
}

CapturedPart capture_archive(const Context& context, const classes::Part& part,
                             const classes::PathArchive& archive) {
  Session& session = context.session;
  ArchiveRules rules;
  rules.path = archive.path;
  rules.host_path = host_path(context.capture, archive);
  rules.excludes = archive.excludes;
  rules.nested = archive.nested;
  rules.rdb_file = archive.rdb_file;
  rules.compare_owners = !engine_remaps_users(session);
  rules.live = context.capture.consistency == classes::Consistency::live;
  rules.started = now();

  Tail tail(context.directory, context.compression);
  ArchiveCheck check(std::move(rules));
  pipe::TarReader reader(check, &tail.count);
  try {
    docker::Body body =
        session.engine.get_archive(context.capture.target.container.id, archive.path);
    pump([&] { return body.read(); }, reader, progress_of(context, part));
    reader.finish();
    check.finish();
    body.close();
  } catch (Error& error) {
    if (error.kind() == ErrorKind::artifact || error.kind() == ErrorKind::engine) {
      error.with_kind(ErrorKind::capture);
    }
    error.in("archive of " + archive.path);
    throw;
  }
  CapturedPart captured =
      finished(context, part, context.compression, tail, found_of(check.counts(), check));
  captured.warnings = archive_warnings(archive.path, check.counts());
  return captured;
}

CapturedPart capture_part(const Context& context, const classes::Part& part) {
  if (const auto* dump = std::get_if<classes::ExecDump>(&part.what)) {
    return capture_exec(context, part, *dump);
  }
  if (const auto* archive = std::get_if<classes::PathArchive>(&part.what)) {
    return capture_archive(context, part, *archive);
  }
  throw Error(ErrorKind::internal, "no way to capture " + part.kind());
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
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

std::string consistency_mode(const classes::Capture& capture) {
  const wire::Container& container = capture.target.container;
  if (!container.running) return "stopped";
  if (container.paused) return "paused";
  return std::string(classes::name(capture.consistency));
}

}  // namespace

CapturedSet execute(Session& session, Debts& debts, const classes::Capture& capture,
                    const store::BackupDirectory& directory, pipe::Compression compression,
                    Timestamp started) {
  const Context context{session, debts, capture, directory, compression, started};
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
  manifest.warnings = capture.warnings;
  manifest.follow_ups = capture.follow_ups;

  const Quieted quieted = while_quiet(session, debts, capture, [&] {
    for (const classes::Part& part : capture.parts) {
      CapturedPart captured = capture_part(context, part);
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
  manifest.consistency.mode = consistency_mode(capture);
  manifest.consistency.paused = quieted.records;
  set.needs_hand = quieted.needs_hand;
  manifest.finished = now();
  return set;
}

}  // namespace bba::ops
