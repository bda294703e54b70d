#include "recorded.hpp"

#include "bba/base/text.hpp"
#include "bba/run/recorded_container.hpp"
#include "commands/configuration_file.hpp"

namespace bba::commands {

namespace {

void require_image(run::Session& session, const store::ContainerRecord& container) {
  try {
    session.engine.inspect_image(container.image_id);
  } catch (const docker::ApiError& error) {
    if (error.status() != 404) throw;
    throw Error(ErrorKind::container,
                fmt::format("the image that was backed up, {} ({}), is not on this engine",
                            container.image, container.image_id),
                container.image_digest.empty()
                    ? "it came from no registry: build it again, or load it with `docker load`; "
                      "`restore` brings the data alone"
                    : fmt::format("docker pull {}", container.image_digest));
  }
}

}  // namespace

std::optional<wire::Container> recorded_if_other(run::Session& session, const ChosenSet& chosen,
                                                 const wire::Container& present) {
  const store::Manifest& manifest = chosen.set.manifest;
  if (!manifest.container.configuration) {
    throw Error(ErrorKind::container,
                fmt::format("{} does not hold the container's configuration: an older version of "
                            "backup-before-apply has taken it",
                            chosen.set.manifest_file),
                "make the container as it was, then `restore` brings its data back");
  }
  wire::Container recorded = read_configuration(chosen.directory, manifest);
  if (recorded.auto_remove) {
    throw Error(ErrorKind::container,
                "the container that was backed up had been started with --rm: the engine would "
                "remove it once it ends",
                "make it as it was, without --rm, then `restore` brings its data back");
  }
  if (run::same_configuration(recorded, present)) return std::nullopt;
  require_image(session, manifest.container);
  // What runs now is the present one.
  recorded.state = present.state;
  recorded.running = present.running;
  recorded.paused = present.paused;
  recorded.restarting = present.restarting;
  return recorded;
}

std::string compose_override(const std::vector<store::ContainerRecord>& containers) {
  std::string text;
  for (const store::ContainerRecord& one : containers) {
    const auto service = string_member(one.compose, "service");
    if (!service) continue;
    if (text.empty()) text = "services:\n";
    text += fmt::format("  {}:\n    image: {}\n", *service,
                        one.image_digest.empty() ? one.image_id : one.image_digest);
  }
  return text;
}

}  // namespace bba::commands
