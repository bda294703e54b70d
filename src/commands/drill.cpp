#include "bba/commands/drill.hpp"

#include <algorithm>
#include <chrono>

#include "bba/base/text.hpp"
#include "bba/commands/backup.hpp"
#include "bba/restore/scratch.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/lock.hpp"
#include "bba/store/proof.hpp"
#include "commands/live_container.hpp"
#include "commands/publish_proof.hpp"
#include "commands/set_reference.hpp"
#include "commands/verify/verify_set.hpp"

namespace bba::commands {

namespace {

constexpr int receipt_schema = 1;

ChosenSet choose(const run::Session& session, const std::string& reference) {
  const auto file = file_reference(session, reference);
  return file ? choose_by_file(*file) : choose_newest(session, reference);
}

// ---- the container and its image

std::string image_of(run::Session& session, const store::ContainerRecord& record) {
  for (const std::string& image : {record.image_id, record.image_digest}) {
    if (image.empty()) continue;
    try {
      return session.engine.inspect_image(image).id;
    } catch (const docker::ApiError& error) {
      if (error.status() != 404) throw;
    }
  }
  throw Error(ErrorKind::container,
              fmt::format("the image that was backed up, {} ({}), is not on this engine",
                          record.image, record.image_id),
              record.image_digest.empty() ? "" : "docker pull " + record.image_digest);
}

// The most that a drill of the set restores at once: one artifact after another gets a scratch
// container of its own. nullopt where none needs one.
std::optional<std::uint64_t> restored_bytes(const store::Manifest& manifest) {
  std::optional<std::uint64_t> largest;
  for (const store::ArtifactRecord& record : manifest.artifacts) {
    if (!services::require_kind(record.kind).needs_target()) continue;
    largest = std::max(largest.value_or(0), record.uncompressed_bytes);
  }
  return largest;
}

// ---- the receipt

// Replaces an earlier one as a whole.
void write_receipt(const store::OwnedDirectory& directory, const std::string& name,
                   const Json& receipt) {
  constexpr unsigned mode = 0600;
  const std::string text = pretty_json(receipt);
  if (directory.contains(name)) {
    store::replace_file(directory.fd(), directory.path() + '/' + name, text, mode);
    return;
  }
  store::ArtifactFile file(directory);
  file.write(as_bytes(text));
  file.sync();
  file.publish(name);
  directory.sync();
}

// Records that a drill disproved the set: its proof is withdrawn, and the receipt is replaced,
// whatever an earlier drill said.
void write_failure(run::Session& session, const ChosenSet& chosen, const std::string& name,
                   const Json& receipt) {
  withdraw_proof(session, chosen.directory, chosen.set.manifest_file);
  try {
    chosen.directory.remove(name);
    write_receipt(chosen.directory, name, receipt);
  } catch (const Error& error) {
    session.reporter.warning(
        fmt::format("the drill failed, and its receipt could not be written: {}", error.what()));
  }
}

void require_whole(run::Session& session, const ChosenSet& chosen) {
  const SetVerdict verdict = verify_set(session, chosen.directory, chosen.set);
  if (verdict.good()) return;
  withdraw_proof(session, chosen.directory, chosen.set.manifest_file);
  throw Error(ErrorKind::artifact, verdict.first_broken(),
              "it does not pass verify, so it was not restored: take a new backup");
}

}  // namespace

Drill drill(run::Session& session, const DrillRequest& request) {
  const auto began = std::chrono::steady_clock::now();
  const ChosenSet chosen = choose(session, request.reference);
  const store::Manifest& manifest = chosen.set.manifest;
  const store::ModuleLock lock(session.settings.state_dir, manifest.module);
  Drill drill;
  if (recover_first(session)) {
    drill.needs_hand.push_back("an earlier run left something: see `backup-before-apply recover`");
  }
  require_whole(session, chosen);

  wire::Container live;
  std::string image = manifest.container.image_id;
  if (const auto bytes = restored_bytes(manifest)) {
    restore::require_room(session, *bytes);
    live = live_container(session, manifest.container);
    image = image_of(session, manifest.container);
    if (live.image != image) {
      session.reporter.note(fmt::format(
          "container {} has another image by now: the one that was backed up is used", live.name));
    }
  }
  run::Cleanup cleanup(session.settings.state_dir, session.settings.host);
  const restore::ScratchContext context{session, cleanup, chosen.directory, manifest,
                                        live,    image,   request.memory,   drill.needs_hand};
  const std::string receipt = store::receipt_name(manifest.module, manifest.started);
  drill.receipt = {{"schema", receipt_schema},
                   {"module", manifest.module},
                   {"class", manifest.module_class},
                   {"manifest", chosen.set.manifest_file},
                   {"manifest_sha256", store::manifest_sha256(chosen.set)},
                   {"finished", nullptr},
                   {"seconds", nullptr},
                   {"tool_version", BBA_VERSION},
                   {"container", manifest.container.name},
                   {"image", manifest.container.image},
                   {"image_id", image},
                   {"passed", false},
                   {"compared", Json::array()},
                   {"not_proven", Json::array()}};
  const auto ended = [&](bool passed) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    drill.receipt["passed"] = passed;
    drill.receipt["finished"] = format_rfc3339(now());
    drill.receipt["seconds"] = took.count();
  };
  for (const store::ArtifactRecord& record : manifest.artifacts) {
    try {
      service::PartReport report =
          restore::drill_artifact(context, services::require_kind(record.kind), record);
      Json one = {{"file", record.file}, {"kind", record.kind}};
      one.update(report.compared);
      drill.receipt["compared"].push_back(std::move(one));
      for (const std::string& line : report.lines) drill.lines.push_back(record.file + ": " + line);
      for (const std::string& line : report.not_proven) {
        drill.receipt["not_proven"].push_back(record.file + ": " + line);
      }
    } catch (Error& error) {
      session.reporter.progress_end();
      error.in(record.file);
      if (error.kind() == ErrorKind::artifact) {
        ended(false);
        drill.receipt["error"] = error.what();
        write_failure(session, chosen, receipt, drill.receipt);
      }
      throw;
    }
  }
  session.stop.throw_if_requested();
  ended(true);
  write_receipt(chosen.directory, receipt, drill.receipt);
  publish_proof(session, chosen.directory, chosen.set.manifest_file);
  return drill;
}

}  // namespace bba::commands
