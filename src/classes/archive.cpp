#include "bba/classes/archive.hpp"

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::classes {

Capture mounted_archive(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted) {
  Capture capture;
  capture.target = target;
  capture.strategy = "mounted data archive";
  capture.mounts = mounts;
  capture.parts = archive_parts(target, mounts);
  if (capture.parts.empty()) {
    throw Error(ErrorKind::container,
                fmt::format("container {} has no mount that holds data", target.container.name),
                "name what to archive with --path /path/in/container, or set modules." +
                    target.module + ".paths in the configuration");
  }
  if (target.module_class == 'F') {
    capture.follow_ups.push_back("engine-specific dump not proven");
  }

  const std::vector<Quiesced> sharing = sharing_containers(all, target.container.id, mounts);
  if (wanted == Consistency::live) {
    capture.consistency = Consistency::live;
    capture.consistency_reason = "asked for";
    if (!sharing.empty()) {
      capture.warnings.push_back(
          "taken live: files that change while they are read may be torn; --consistency pause "
          "holds "
          "the container still");
    }
    return capture;
  }
  capture.consistency = wanted == Consistency::stop ? Consistency::stop : Consistency::pause;
  capture.consistency_reason =
      wanted == Consistency::automatic ? "files must hold still while they are read" : "asked for";
  capture.quiesce = sharing;
  return capture;
}

}  // namespace bba::classes
