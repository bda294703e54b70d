#include "bba/base/text.hpp"
#include "bba/capture/capture_part.hpp"
#include "bba/tree/tar_against_walk.hpp"
#include "bba/pipe/pump.hpp"

namespace bba::ops {

namespace {

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

}  // namespace

PartFindings capture_archive(const CaptureContext& context, const classes::PathArchive& archive,
                             ArtifactTail& tail, const Moved& moved) {
  Session& session = context.session;
  ArchiveRules rules;
  rules.path = archive.path;
  rules.host_path = host_path(context.capture, archive);
  rules.excludes = archive.excludes;
  rules.nested = archive.nested;
  rules.rdb_file = archive.rdb_file;
  rules.rdb_required = archive.rdb_required;
  rules.compare_owners = !engine_remaps_users(session);
  rules.live = context.capture.consistency == classes::Consistency::live;
  rules.started = now();

  ArchiveCheck check(std::move(rules));
  pipe::TarReader reader(check, &tail.count);
  try {
    docker::Body body =
        session.engine.get_archive(context.capture.target.container.id, archive.path);
    pump([&] { return body.read(); }, reader, moved);
    reader.finish();
    check.finish();
  } catch (Error& error) {
    if (error.kind() == ErrorKind::artifact || error.kind() == ErrorKind::engine) {
      error.with_kind(ErrorKind::capture);
    }
    error.in("archive of " + archive.path);
    throw;
  }
  Json found = found_json(check.counts());
  if (!archive.rdb_file.empty()) found["aof_files"] = check.aof_files();
  const std::string written = format_rfc3339(Timestamp(std::chrono::seconds(check.rdb_written())));
  if (check.rdb_seen()) {
    found["rdb_file"] = archive.rdb_file;
    found["rdb_version"] = check.rdb_version();
    found["rdb_written"] = written;
  }
  std::vector<std::string> warnings = archive_warnings(archive.path, check.counts());
  if (check.rdb_seen() && !context.capture.save_first && context.capture.target.container.running) {
    warnings.push_back(fmt::format(
        "{} was saved by the server at {}: what it got since then is in this backup only where it "
        "keeps an append-only file",
        archive.rdb_file, written));
  }
  if (check.rdb_checksum_off()) {
    warnings.push_back(
        fmt::format("{} has no checksum (rdbchecksum no): damage inside of it would not be seen",
                    archive.rdb_file));
  }
  return {std::move(found), std::move(warnings)};
}

}  // namespace bba::ops
