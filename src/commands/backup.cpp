#include "bba/commands/backup.hpp"

#include <algorithm>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/capture/execute.hpp"
#include "bba/run/cleanup.hpp"
#include "bba/service/service.hpp"
#include "bba/store/lock.hpp"
#include "commands/publish_proof.hpp"
#include "commands/restore/in_place.hpp"
#include "commands/set_second.hpp"

namespace bba::commands {

namespace {

void warn_of_little_room(run::Session& session, const store::OwnedDirectory& directory,
                         const service::Capture& capture) {
  const auto expected = expected_bytes(capture);
  const std::uint64_t room = directory.free_bytes();
  if (expected && *expected > room) {
    session.reporter.warning(
        fmt::format("{} has {} free, and about {} will be read: it fits only if it compresses well",
                    directory.path(), format_bytes(room), format_bytes(*expected)));
  }
}

struct ExecuteOutcome {
  capture::CapturedSet set;
  std::size_t told;  // how many of its warnings the operator has seen
};

ExecuteOutcome execute_or_fall_back(run::Session& session, run::Cleanup& cleanup,
                                    const service::Capture& capture,
                                    const store::OwnedDirectory& directory,
                                    pipe::Compression compression, Timestamp started) {
  try {
    return {capture::execute(session, cleanup, capture, directory, compression, started),
            capture.warnings.size()};
  } catch (const service::Refused& refused) {
    if (!capture.if_refused) throw;
    const service::Capture otherwise = service::as_fallback(*capture.if_refused, refused.what());
    for (const std::string& warning : otherwise.warnings) {
      const auto& known = capture.warnings;
      if (std::find(known.begin(), known.end(), warning) != known.end()) continue;
      session.reporter.warning(capture.target.module + ": " + warning);
    }
    return {capture::execute(session, cleanup, otherwise, directory, compression, started),
            otherwise.warnings.size()};
  }
}

}  // namespace

Timestamp set_second(const run::Session& session, const store::OwnedDirectory& directory,
                     const std::vector<std::string>& modules) {
  const auto taken = [&](Timestamp time) {
    return std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
      return directory.contains(store::manifest_name(module, time));
    });
  };
  for (;;) {
    const Timestamp time = now();
    if (!taken(time)) return time;
    session.stop.throw_if_requested();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::vector<std::string> needs_hand_of(const store::Manifest& manifest) {
  std::vector<std::string> lines;
  if (manifest.fallback) {
    lines.push_back(
        fmt::format("{}: the set is a fallback: {}", manifest.module, *manifest.fallback));
  }
  for (const std::string& lacked : manifest.incomplete) {
    lines.push_back(fmt::format("{}: not in the set: {}", manifest.module, lacked));
  }
  return lines;
}

bool recover_first(run::Session& session) {
  const run::RecoverOutcome recovered = run::recover(session);
  for (const std::string& done : recovered.done) {
    session.reporter.warning("an earlier run was killed; put right what it left: " + done);
  }
  for (const std::string& failed : recovered.failed) {
    session.reporter.warning(
        "an earlier run was killed, and what it left could not be put right: " + failed);
  }
  for (const std::string& waiting : recovered.waiting) {
    session.reporter.note("an earlier run was killed, and the engine may still be making what it " +
                          ("asked for; the next run looks for it again: " + waiting));
  }
  if (recovered.unfinished) {
    throw Error(ErrorKind::unfinished, "a restore was killed, and is neither finished nor undone",
                "put right what is named above, then run `backup-before-apply recover`");
  }
  return !recovered.failed.empty();
}

BackupResult backup(run::Session& session, const BackupRequest& request,
                    pipe::Compression compression) {
  BackupResult result;
  const std::vector<std::string> modules = modules_to_back_up(session, request);
  std::vector<store::ModuleLock> locks;
  std::vector<std::string> in_lock_order = modules;
  std::sort(in_lock_order.begin(), in_lock_order.end());
  for (const std::string& module : in_lock_order) {
    locks.emplace_back(session.settings.state_dir, module);
  }
  if (recover_first(session)) {
    result.needs_hand.push_back("an earlier run left something: see `backup-before-apply recover`");
  }
  require_no_broken_restore(session, modules);

  std::vector<service::Capture> captures;
  for (const std::string& module : modules) {
    BackupRequest one = request;
    one.module = module;
    captures.push_back(make_capture(session, one));
    for (const std::string& warning : captures.back().warnings) {
      session.reporter.warning(module + ": " + warning);
    }
  }

  const auto directory = store::OwnedDirectory::open_or_create(session.settings.backup_dir);
  run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
  const Timestamp started = set_second(session, directory, modules);
  std::vector<capture::CapturedSet> sets;
  for (const service::Capture& capture : captures) {
    warn_of_little_room(session, directory, capture);
    ExecuteOutcome executed = with_context("backing up " + capture.target.module, [&] {
      return execute_or_fall_back(session, cleanup, capture, directory, compression, started);
    });
    sets.push_back(std::move(executed.set));
    const capture::CapturedSet& set = sets.back();
    for (std::size_t i = executed.told; i < set.manifest.warnings.size(); ++i) {
      session.reporter.warning(capture.target.module + ": " + set.manifest.warnings[i]);
    }
    result.needs_hand.insert(result.needs_hand.end(), set.needs_hand.begin(), set.needs_hand.end());
    const std::vector<std::string> known = needs_hand_of(set.manifest);
    result.needs_hand.insert(result.needs_hand.end(), known.begin(), known.end());
  }
  session.stop.throw_if_requested();
  capture::publish(sets, directory);
  for (const capture::CapturedSet& set : sets) {
    publish_proof(session, directory,
                  store::manifest_name(set.manifest.module, set.manifest.started));
  }
  for (capture::CapturedSet& set : sets) result.sets.push_back(std::move(set.manifest));
  return result;
}

}  // namespace bba::commands
