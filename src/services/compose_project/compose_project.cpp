#include "compose_project.hpp"

#include <algorithm>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/service/restore_steps.hpp"
#include "bba/services/files.hpp"
#include "bba/tree/host_path.hpp"

namespace bba::services::compose_project {

namespace {

using service::Capture;
using service::Consistency;

constexpr std::string_view on_host = "host:";

// The host's directory that the record is of.
std::string archived_directory(const store::ArtifactRecord& record) {
  if (!record.source.starts_with(on_host) || record.source.size() < on_host.size() + 2) {
    throw Error(
        ErrorKind::artifact,
        fmt::format("the manifest says that it is of {}, which is not a directory of a host",
                    record.source));
  }
  return record.source.substr(on_host.size());
}

class HostDirectoryKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "host-directory"; }
  std::string_view suffix() const override { return "tar"; }
  std::vector<std::string> required_found() const override { return files::counted_keys(); }
  std::vector<std::string> foreign_found() const override { return {"rdb_file", "objects"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<files::TarCheck>();
  }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord&) const override {
    service::FreshTarget fresh;
    fresh.volumes = {{service::scratch_place}};
    return fresh;
  }
  service::Restore restore(const store::Manifest&,
                           const store::ArtifactRecord& record) const override {
    return {{service::replace_host_tree({archived_directory(record), false, record.left_out})}};
  }
  // Every entry was compared as it was put back.
  void compare(service::RestoreTarget&) const override {}
};

class ComposeProject : public service::Service {
 public:
  char letter() const override { return 'G'; }
  std::string_view title() const override {
    return "separate compose root: its directory and the mounted data";
  }
  conf::ClassRule default_rule() const override {
    return {letter(), {"agaria-postgres", "agaria-redis"}, {}};
  }

  Capture plan(const service::PlanInputs& inputs) const override {
    service::Target target = inputs.target;
    target.settings.compose_root = tree::resolved(compose_root(target));
    Capture capture = project_archive(target, inputs.mounts, inputs.all, inputs.wanted);
    // A file that is mounted somewhere is configuration, whether or not it may be written there.
    std::vector<wire::ContainerSummary> neighbours = inputs.all;
    for (wire::ContainerSummary& one : neighbours) {
      std::erase_if(one.mounts, [](const wire::Mount& mount) {
        return tree::source_kind(mount.source) != tree::SourceKind::directory;
      });
    }
    leave_out_neighbours(capture, neighbours);
    const std::string& path = std::get<service::HostDirectory>(capture.parts.front().what).path;
    if (tree::source_kind(path) != tree::SourceKind::directory) {
      throw Error(ErrorKind::config,
                  fmt::format("the compose project of {} is said to be in {}, which is not a "
                              "directory of this host",
                              target.module, path),
                  "set modules." + target.module + ".compose_root in the configuration");
    }
    return capture;
  }

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    service::Readiness readiness = files::files_readiness(inputs);
    readiness.notes.push_back(
        {"separate compose root: follow-up required", service::Ready::partly});
    return readiness;
  }
  bool has_compose_root() const override { return true; }
};

}  // namespace

const service::Service& compose_project() {
  static const ComposeProject service;
  return service;
}

const service::ArtifactKind& host_directory_kind() {
  static const HostDirectoryKind kind;
  return kind;
}

std::string compose_root(const service::Target& target) {
  const auto label = target.container.labels.find("com.docker.compose.project.working_dir");
  std::string root = target.settings.compose_root.value_or(
      label == target.container.labels.end() ? std::string() : label->second);
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (!root.starts_with('/')) {
    throw Error(ErrorKind::config,
                fmt::format("it is not known where the compose project of {} is on this host",
                            target.module),
                "set modules." + target.module + ".compose_root in the configuration");
  }
  return root;
}

Capture project_archive(const service::Target& target,
                        const std::vector<service::MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted) {
  const bool has_data =
      !target.settings.paths.empty() ||
      std::any_of(mounts.begin(), mounts.end(), [](const auto& one) { return one.taken; });
  Capture capture;
  if (has_data) {
    capture = files::mounted_archive(target, mounts, all, wanted);
  } else {
    capture.target = target;
    capture.mounts = mounts;
    capture.warnings.emplace_back("the container has no mount that holds data");
  }
  capture.strategy = "compose project and mounted data archive";

  service::HostDirectory project{compose_root(target), target.settings.excludes};
  std::vector<std::string> names{"compose"};
  for (service::Part& part : capture.parts) {
    auto& archive = std::get<service::PathArchive>(part.what);
    // What is archived from inside the project's directory is a part of its own already.
    if (archive.host_path != project.path && lies_within(archive.host_path, project.path)) {
      project.excludes.push_back(archive.host_path);
    }
    part.name = service::part_name(archive.path, names);
    names.push_back(part.name);
  }
  capture.parts.insert(capture.parts.begin(),
                       {"compose", &host_directory_kind(), std::move(project)});
  capture.follow_ups.emplace_back(
      "follow-up required: this module has a compose root of its own; check that its other "
      "services are backed up, too");
  return capture;
}

void leave_out_neighbours(Capture& capture, const std::vector<wire::ContainerSummary>& all) {
  std::vector<std::string> archived;
  for (const service::Part& part : capture.parts) {
    if (const auto* archive = std::get_if<service::PathArchive>(&part.what)) {
      archived.push_back(archive->host_path);
    }
  }
  const auto is_archived = [&](const std::string& source) {
    return std::any_of(archived.begin(), archived.end(), [&](const std::string& path) {
      return !path.empty() && lies_within(source, path);
    });
  };
  auto& project = std::get<service::HostDirectory>(capture.parts.front().what);
  for (const wire::ContainerSummary& other : all) {
    if (!wire::is_up(other) || other.id == capture.target.container.id) continue;
    for (const wire::Mount& mount : other.mounts) {
      const bool inside = mount.source != project.path && lies_within(mount.source, project.path);
      if (!mount.rw || !inside || is_archived(mount.source)) continue;
      project.excludes.push_back(mount.source);
      capture.warnings.push_back(fmt::format(
          "{} is not in the compose project's archive: {} writes there, and is to be backed up as "
          "a module of its own",
          mount.source, wire::name_of(other)));
    }
  }
}

}  // namespace bba::services::compose_project
