#include "bba/services/files.hpp"

#include <algorithm>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/service/asking.hpp"
#include "bba/service/restore_steps.hpp"

namespace bba::services::files {

namespace {

using service::Capture;
using service::Consistency;
using service::PlanInputs;

// The path in the container that the record is of.
std::string archived_path(const store::ArtifactRecord& record) {
  const std::string& path = record.source;
  if (!path.starts_with('/') || path == "/") {
    throw Error(
        ErrorKind::artifact,
        fmt::format("the manifest says that it is of {}, which is not a path below /", path));
  }
  return path;
}

bool is_single_file(const store::ArtifactRecord& record) {
  return size_member(record.found, "directories") == 0u;
}

class TarKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "tar"; }
  std::string_view suffix() const override { return "tar"; }
  std::vector<std::string> required_found() const override { return counted_keys(); }
  std::vector<std::string> foreign_found() const override { return {"rdb_file", "objects"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<TarCheck>();
  }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord& record) const override {
    return fresh_volume_for(record);
  }
  service::Restore restore(const store::Manifest&,
                           const store::ArtifactRecord& record) const override {
    return restore_archive(record);
  }
  // Every entry was compared as it was put back.
  void compare(service::RestoreTarget&) const override {}
  std::optional<std::string> exchanged_mount(const wire::Container& live,
                                             const store::ArtifactRecord& record) const override {
    return files::exchanged_mount(live, record);
  }
  bool carries_over(const service::ExchangePlace& place, const std::string& path) const override {
    return leaves_out(place.record, path);
  }
};

class Files : public service::Service {
 public:
  char letter() const override { return 'E'; }
  std::string_view title() const override { return "everything else: mounted data archive"; }
  conf::ClassRule default_rule() const override { return {letter(), {}, {}}; }
  Capture plan(const PlanInputs& inputs) const override {
    return mounted_archive(inputs.target, inputs.mounts, inputs.all, inputs.wanted);
  }
  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    return files_readiness(inputs);
  }
  bool suits_first_run() const override { return true; }
};

class UnprovenEngine : public service::Service {
 public:
  char letter() const override { return 'F'; }
  std::string_view title() const override {
    return "mounted data archive, engine-specific dump not proven";
  }
  conf::ClassRule default_rule() const override {
    return {letter(), {"karakeep-meilisearch", "searxng"}, {}};
  }
  Capture plan(const PlanInputs& inputs) const override {
    Capture capture = mounted_archive(inputs.target, inputs.mounts, inputs.all, inputs.wanted);
    capture.follow_ups.emplace_back("engine-specific dump not proven");
    // Perhaps only this version can read its files.
    const wire::Container& container = inputs.target.container;
    const auto version = container.labels.find("org.opencontainers.image.version");
    if (version != container.labels.end() && !version->second.empty()) {
      capture.facts["image_version"] = version->second;
    } else {
      capture.follow_ups.push_back(
          "the engine's version is not known, as the image has no label "
          "org.opencontainers.image.version: keep image " +
          container.image);
    }
    return capture;
  }
  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    service::Readiness readiness = files_readiness(inputs);
    readiness.notes.push_back({"engine-specific dump not proven", service::Ready::partly});
    return readiness;
  }
};

}  // namespace

const service::ArtifactKind& tar_kind() {
  static const TarKind kind;
  return kind;
}

const service::Service& files() {
  static const Files service;
  return service;
}

const service::Service& unproven_engine() {
  static const UnprovenEngine service;
  return service;
}

service::Readiness files_readiness(const service::ReadinessInputs& inputs) {
  service::Readiness readiness = service::stopped_server(inputs, service::Ready::yes);
  readiness.files_only = true;
  return readiness;
}

// ---- what an archive holds

Json TarCheck::found() const {
  Json found = tree::found_json(counts_);
  // Only the run that took the archive knows what it could not carry.
  found.erase("not_carried");
  found.erase("sparse_expanded");
  return found;
}

std::string TarCheck::summary() const {
  return fmt::format("{} entries, {} of content", reader_.entries(),
                     format_bytes(counts_.content_bytes));
}

bool TarCheck::entry(const pipe::TarEntry& entry) {
  counts_.add(entry.type, entry.size);
  return true;
}

std::vector<std::string> counted_keys() {
  return {"entries", "files", "directories", "symlinks", "hard_links", "others", "content_bytes"};
}

// ---- restore

service::FreshTarget fresh_volume_for(const store::ArtifactRecord& record) {
  const std::string path = archived_path(record);
  // A single file cannot be a volume, but it can be in one.
  const std::string volume = is_single_file(record) ? parent_of(path) : path;
  service::FreshTarget fresh;
  if (volume != "/") fresh.volumes.push_back({volume});
  return fresh;
}

service::Restore restore_archive(const store::ArtifactRecord& record) {
  return {
      {service::replace_tree({archived_path(record), is_single_file(record), record.left_out})}};
}

std::string exchanged_mount(const wire::Container& live, const store::ArtifactRecord& record) {
  const std::string path = archived_path(record);
  const std::optional<wire::Mount> mount = service::mount_holding(live, path);
  if (!mount) {
    throw Error(
        ErrorKind::container,
        fmt::format("{} is on no mount of {}: there is nothing to exchange", path, live.name),
        "restore it by hand: the manifest has the commands");
  }
  if (mount->destination != path || is_single_file(record)) {
    throw Error(ErrorKind::container,
                fmt::format("{} is {}, and only a whole directory can be exchanged", path,
                            is_single_file(record) ? "a single file"
                                                   : "a part of the mount " + mount->destination),
                "restore it by hand: the manifest has the commands");
  }
  return path;
}

bool leaves_out(const store::ArtifactRecord& record, const std::string& path) {
  return std::any_of(record.left_out.begin(), record.left_out.end(), [&](const std::string& glob) {
    for (std::string one = path; one != "/"; one = parent_of(one)) {
      if (glob_match(glob, one)) return true;
    }
    return false;
  });
}

// ---- what is archived

std::vector<service::Part> archive_parts(const service::Target& target,
                                         const std::vector<service::MountChoice>& mounts,
                                         const service::ArtifactKind& kind) {
  std::vector<service::PathArchive> archives = service::path_archives(target, mounts);
  std::vector<service::Part> parts;
  std::vector<std::string> names;
  for (service::PathArchive& archive : archives) {
    std::string name;
    if (archives.size() > 1) {
      name = service::part_name(archive.path, names);
      names.push_back(name);
    }
    parts.push_back({std::move(name), &kind, std::move(archive)});
  }
  return parts;
}

Capture mounted_archive(const service::Target& target,
                        const std::vector<service::MountChoice>& mounts,
                        const std::vector<wire::ContainerSummary>& all, Consistency wanted,
                        const service::ArtifactKind& kind) {
  Capture capture;
  capture.target = target;
  capture.strategy = "mounted data archive";
  capture.mounts = mounts;
  capture.parts = archive_parts(target, mounts, kind);
  if (capture.parts.empty()) {
    throw Error(ErrorKind::container,
                fmt::format("container {} has no mount that holds data", target.container.name),
                "name what to archive with --path /path/in/container, or set modules." +
                    target.module + ".paths in the configuration");
  }
  const bool unmounted =
      std::any_of(capture.parts.begin(), capture.parts.end(), [](const service::Part& part) {
        return std::get<service::PathArchive>(part.what).host_path.empty();
      });
  if (wanted == Consistency::stop && target.container.running && unmounted) {
    throw Error(ErrorKind::container,
                fmt::format("what is on no mount of {} cannot be read while it is stopped",
                            target.container.name),
                "use --consistency pause");
  }
  const std::vector<service::Quiesced> sharing =
      service::sharing_containers(all, target.container.id, mounts);
  if (wanted == Consistency::live) {
    capture.consistency = Consistency::live;
    capture.consistency_reason = "asked for";
    if (!sharing.empty()) {
      capture.warnings.emplace_back(
          "taken live: files that change while they are read may be torn; --consistency pause "
          "holds the container still");
    }
    return capture;
  }
  capture.consistency = wanted == Consistency::stop ? Consistency::stop : Consistency::pause;
  capture.consistency_reason =
      wanted == Consistency::automatic ? "files must hold still while they are read" : "asked for";
  capture.quiesce = sharing;
  return capture;
}

Capture files_instead(const PlanInputs& inputs, const std::string& reason) {
  try {
    return service::as_fallback(
        mounted_archive(inputs.target, inputs.mounts, inputs.all, inputs.wanted), reason);
  } catch (Error& error) {
    error.in(reason);
    throw;
  }
}

}  // namespace bba::services::files
