// Files: the archives of what a container has mounted. Other services fall back to them, so this is
// the one service whose header the others see.
#pragma once

#include <string>
#include <vector>

#include "bba/pipe/tar.hpp"
#include "bba/service/service.hpp"

namespace bba::services::files {

const service::ArtifactKind& tar_kind();

// Counts what passes in a tar. Other kinds of archives look closer.
class TarCheck : public service::ContentCheck, protected pipe::TarVisitor {
 public:
  pipe::Stage& stage() override { return reader_; }
  Json found() const override;
  std::string summary() const override;

 protected:
  const tree::ArchiveCounts& counts() const { return counts_; }
  bool entry(const pipe::TarEntry& entry) override;
  void data(const Chunk&) override {}
  void entry_end() override {}

 private:
  pipe::TarReader reader_{*this, nullptr};
  tree::ArchiveCounts counts_;
};

// What TarCheck counts: the keys of ArtifactRecord::found that every archive has.
std::vector<std::string> counted_keys();

// How an archive of a path of the container is put back.
service::Restore restore_archive(const store::ArtifactRecord& record);
// A container with an empty volume at that path.
service::FreshTarget fresh_volume_for(const store::ArtifactRecord& record);

// The mount that an archive is of. Throws Error{container} where it is of a path within a mount, of
// a single file, or on none.
std::string exchanged_mount(const wire::Container& live, const store::ArtifactRecord& record);
// Whether an archive leaves out what is at this path, or below such a path.
bool leaves_out(const store::ArtifactRecord& record, const std::string& path);

// One archive for each taken mount, or for each of the configured paths instead. Part names come
// from the destinations; a single part has none.
std::vector<service::Part> archive_parts(const service::Target& target,
                                         const std::vector<service::MountChoice>& mounts,
                                         const service::ArtifactKind& kind = tar_kind());

// What all archive strategies share: parts, which containers are held still, how. Throws
// Error{container} where there is nothing to archive.
service::Capture mounted_archive(const service::Target& target,
                                 const std::vector<service::MountChoice>& mounts,
                                 const std::vector<wire::ContainerSummary>& all,
                                 service::Consistency wanted,
                                 const service::ArtifactKind& kind = tar_kind());
// The same as the fallback of another service. Where there are no files either, the error says
// both.
service::Capture files_instead(const service::PlanInputs& inputs, const std::string& reason);

// A container that does not run need not be held still.
service::Readiness files_readiness(const service::ReadinessInputs& inputs);
// For the hint of a service that cannot be asked.
inline constexpr std::string_view take_files = "take its files as they are with --class E";

// The services of this folder, for the registry: everything else, and engines whose own dump is not
// proven.
const service::Service& files();
const service::Service& unproven_engine();

}  // namespace bba::services::files
