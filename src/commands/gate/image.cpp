// Asks the engine for the current container, and compares its image with that of the backup.
#include "image.hpp"

#include "bba/base/text.hpp"
#include "bba/run/target.hpp"
#include "program.hpp"

namespace bba::commands {

namespace {

// The container that was backed up; where it was replaced since, its replacement.
wire::Container live_container(run::Session& session, const store::Proof& proof) {
  const auto recorded = session.engine.find(proof.container_id);
  if (recorded && recorded->running) return *recorded;
  const run::LookupClues clues =
      run::clues_of(session.settings.config, session.settings.platform_root, proof.module);
  try {
    return session.engine.inspect(run::find_container(clues, session.engine.list()).container.id);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::container && recorded) return *recorded;
    throw;
  }
}

}  // namespace

std::optional<Refusal> image_refusal(run::Session& session, const store::Proof& proof) {
  try {
    const wire::Container container = live_container(session, proof);
    if (container.image == proof.image_id) return std::nullopt;
    return Refusal{
        "image",
        fmt::format("container {} runs image {} ({}), and the backup is of {} ({})", container.name,
                    container.config_image, container.image, proof.image, proof.image_id),
        program + ("backup " + proof.module)};
  } catch (const Error& error) {
    // The run's own time limit ends the run; an engine that is silent is a refusal.
    session.stop.throw_if_requested();
    switch (error.kind()) {
      case ErrorKind::engine:
      case ErrorKind::timeout:
        return Refusal{
            "image",
            fmt::format("the Docker Engine cannot be asked which image runs now: {}", error.what()),
            "run it where the engine can be reached, or leave this condition out with "
            "--skip-image-check"};
      default:
        return Refusal{"image",
                       fmt::format("it is not known which container to compare: {}", error.what()),
                       error.hint().empty() ? "see `docker ps -a`" : error.hint()};
    }
  }
}

}  // namespace bba::commands
