#include "commands/safety_set.hpp"

#include "bba/base/text.hpp"
#include "bba/capture/execute.hpp"
#include "bba/commands/plan.hpp"
#include "commands/set_second.hpp"

namespace bba::commands {

service::Capture plan_safety_set(run::Session& session, const store::Manifest& manifest,
                                 const wire::Container& live) {
  BackupRequest request;
  request.module = manifest.module;
  request.container = live.name;
  request.module_class = manifest.module_class.front();
  service::Capture capture = with_context("a set of the present state, which is taken first",
                                          [&] { return make_capture(session, request); });
  if (capture.target.container.id != live.id) {
    throw Error(
        ErrorKind::container,
        fmt::format("{} is another container now than the one that was looked at", live.name),
        "try again");
  }
  if (capture.fallback) {
    throw Error(ErrorKind::container,
                "a set of the present state, which is taken first, would be a fallback: " +
                    *capture.fallback,
                "put that right: a restore in place takes the same as a backup");
  }
  // No other procedure either, once the service is asked.
  capture.if_refused.reset();
  return capture;
}

std::string take_safety_set(run::Session& session, run::Cleanup& cleanup,
                            const service::Capture& capture) {
  const std::string& module = capture.target.module;
  for (const std::string& warning : capture.warnings) {
    session.reporter.warning(module + ": " + warning);
  }
  const auto compression = pipe::compression_by_name(session.settings.config.compression);
  if (!compression) throw Error(ErrorKind::config, "compression is neither gzip nor zstd");
  const auto directory = store::OwnedDirectory::open_or_create(session.settings.backup_dir);
  return with_context("taking a set of the present state", [&] {
    const Timestamp started = set_second(session, directory, {module});
    std::vector<capture::CapturedSet> sets;
    sets.push_back(capture::execute(session, cleanup, capture, directory, *compression, started));
    sets.front().manifest.purpose = store::before_restore;
    session.stop.throw_if_requested();
    capture::publish(sets, directory);
    std::string file = store::manifest_name(module, started);
    session.reporter.note("what the service has now is in the safety set " + file);
    return file;
  });
}

}  // namespace bba::commands
