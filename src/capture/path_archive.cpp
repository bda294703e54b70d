#include "bba/base/text.hpp"
#include "bba/pipe/pump.hpp"
#include "bba/tree/tar_against_walk.hpp"
#include "parts.hpp"

namespace bba::capture {

namespace {

// Where this host sees a path of the container.
std::string host_path(const service::Capture& capture, const service::PathArchive& archive) {
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

bool engine_remaps_users(run::Session& session) {
  for (const std::string& option : session.engine.info().security_options) {
    if (option.find("name=userns") != option.npos || option.find("name=rootless") != option.npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

service::PartFindings capture_archive(const CaptureContext& context, const service::Part& part,
                                      const service::PathArchive& archive, ArtifactSink& sink,
                                      const ProgressFn& moved) {
  run::Session& session = context.session;
  tree::ArchiveRules rules;
  rules.path = archive.path;
  rules.host_path = host_path(context.capture, archive);
  rules.excludes = archive.excludes;
  rules.nested = archive.nested;
  rules.compare_owners = !engine_remaps_users(session);
  rules.live = context.capture.consistency == service::Consistency::live;
  rules.started = now();

  const std::unique_ptr<tree::FileCheck> files = part.kind->file_check(archive);
  tree::ArchiveCheck check(std::move(rules), files.get());
  pipe::TarReader reader(check, &sink.count);
  try {
    docker::Body body =
        session.engine.get_archive(context.capture.target.container.id, archive.path);
    pipe::pump([&] { return body.read(); }, reader, moved);
    reader.finish();
    check.finish();
  } catch (Error& error) {
    if (error.kind() == ErrorKind::artifact || error.kind() == ErrorKind::engine) {
      error.with_kind(ErrorKind::capture);
    }
    error.in("archive of " + archive.path);
    throw;
  }
  service::PartFindings findings{tree::found_json(check.counts()),
                                 tree::archive_warnings(archive.path, check.counts())};
  if (files) {
    files->add_found(findings.found);
    const std::vector<std::string> more = files->warnings();
    findings.warnings.insert(findings.warnings.end(), more.begin(), more.end());
  }
  return findings;
}

}  // namespace bba::capture
