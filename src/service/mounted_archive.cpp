#include "bba/service/mounted_archive.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/path.hpp"
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
  const bool unmounted = std::any_of(
      capture.parts.begin(), capture.parts.end(),
      [](const Part& part) { return std::get<PathArchive>(part.what).host_path.empty(); });
  if (wanted == Consistency::stop && target.container.running && unmounted) {
    throw Error(ErrorKind::container,
                fmt::format("what is on no mount of {} is not to be seen while it is stopped",
                            target.container.name),
                "use --consistency pause");
  }
  if (target.module_class == 'F') {
    capture.follow_ups.push_back("engine-specific dump not proven");
    // Its files may be readable to this version alone.
    const auto version = target.container.labels.find("org.opencontainers.image.version");
    if (version != target.container.labels.end() && !version->second.empty()) {
      capture.facts["image_version"] = version->second;
    } else {
      capture.follow_ups.push_back(
          "the engine's version is not known, as the image has no label "
          "org.opencontainers.image.version: keep image " +
          target.container.image);
    }
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

Capture as_fallback(Capture capture, const std::string& reason) {
  capture.fallback = reason;
  capture.warnings.push_back(
      fmt::format("{} instead of the class's own procedure: {}", capture.strategy, reason));
  return capture;
}

std::string compose_root(const Target& target) {
  const auto label = target.container.labels.find("com.docker.compose.project.working_dir");
  std::string root = target.settings.compose_root.value_or(
      label == target.container.labels.end() ? std::string() : label->second);
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (!root.starts_with('/')) {
    throw Error(
        ErrorKind::config,
        fmt::format("nobody says where the compose project of {} is on this host", target.module),
        "set modules." + target.module + ".compose_root in the configuration");
  }
  return root;
}

Capture compose_project(const Target& target, const std::vector<MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted) {
  const bool has_data =
      !target.settings.paths.empty() ||
      std::any_of(mounts.begin(), mounts.end(), [](const MountChoice& one) { return one.taken; });
  Capture capture;
  if (has_data) {
    capture = mounted_archive(target, mounts, all, wanted);
  } else {
    capture.target = target;
    capture.mounts = mounts;
    capture.warnings.push_back("the container has no mount that holds data");
  }
  capture.strategy = "compose project and mounted data archive";

  HostDirectory project{compose_root(target), target.settings.excludes};
  std::vector<std::string> names{"compose"};
  for (Part& part : capture.parts) {
    auto& archive = std::get<PathArchive>(part.what);
    // What is archived from inside the project's directory is a part of its own already.
    if (archive.host_path != project.path && lies_within(archive.host_path, project.path)) {
      project.excludes.push_back(archive.host_path);
    }
    part.name = part_name(archive.path, names);
    names.push_back(part.name);
  }
  capture.parts.insert(capture.parts.begin(), Part{"compose", std::move(project)});
  capture.follow_ups.push_back(
      "follow-up required: this module has a compose root of its own; check that its other "
      "services are "
      "backed up, too");
  return capture;
}

void leave_out_neighbours(Capture& capture, const std::vector<wire::ContainerSummary>& all) {
  std::vector<std::string> archived;
  for (const Part& part : capture.parts) {
    if (const auto* archive = std::get_if<PathArchive>(&part.what)) {
      archived.push_back(archive->host_path);
    }
  }
  const auto is_archived = [&](const std::string& source) {
    return std::any_of(archived.begin(), archived.end(), [&](const std::string& path) {
      return !path.empty() && lies_within(source, path);
    });
  };
  auto& project = std::get<HostDirectory>(capture.parts.front().what);
  for (const wire::ContainerSummary& other : all) {
    const bool up =
        other.state == "running" || other.state == "paused" || other.state == "restarting";
    if (!up || other.id == capture.target.container.id) continue;
    for (const wire::Mount& mount : other.mounts) {
      const bool inside = mount.source != project.path && lies_within(mount.source, project.path);
      if (!mount.rw || !inside || is_archived(mount.source)) continue;
      project.excludes.push_back(mount.source);
      capture.warnings.push_back(fmt::format(
          "{} is not in the compose project's archive: {} writes there, and is to be backed up as "
          "a module of its own",
          mount.source, other.names.empty() ? other.id : other.names.front()));
    }
  }
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == path.npos ? "/" : path.substr(0, slash);
}

}  // namespace bba::classes
