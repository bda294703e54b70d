#include <exception>

#include "bba/base/text.hpp"
#include "bba/capture/execute.hpp"
#include "bba/store/manifest_checksum.hpp"

namespace bba::capture {

namespace {

store::ArtifactFile manifest_file(const store::OwnedDirectory& directory,
                                  const store::Manifest& manifest) {
  store::ArtifactFile file(directory);
  file.write(as_bytes(store::with_checksum(store::to_json(manifest))));
  file.sync();
  return file;
}

void give_names(std::vector<CapturedSet>& sets, const std::vector<std::string>& manifests,
                const store::OwnedDirectory& directory) {
  std::vector<std::string> published;
  try {
    // Written before anything has a name, so that a full disk shows here.
    std::vector<store::ArtifactFile> manifest_files;
    for (const CapturedSet& set : sets) {
      manifest_files.push_back(manifest_file(directory, set.manifest));
    }
    for (CapturedSet& set : sets) {
      for (std::size_t i = 0; i < set.files.size(); ++i) {
        set.files[i].publish(set.manifest.artifacts[i].file);
        published.push_back(set.manifest.artifacts[i].file);
      }
      if (set.configuration) {
        const std::string& name = set.manifest.container.configuration->file;
        set.configuration->publish(name);
        published.push_back(name);
      }
    }
    directory.sync();
    for (std::size_t i = 0; i < manifest_files.size(); ++i) {
      manifest_files[i].publish(manifests[i]);
      published.push_back(manifests[i]);
    }
    directory.sync();
  } catch (...) {
    // The manifests go first: none is ever there without its artifacts.
    for (auto name = published.rbegin(); name != published.rend(); ++name) {
      try {
        directory.remove(*name);
      } catch (const Error&) {
        // The first error is reported.
      }
    }
    throw;
  }
}

}  // namespace

void publish(std::vector<CapturedSet>& sets, const store::OwnedDirectory& directory) {
  std::vector<std::string> manifests;
  for (const CapturedSet& set : sets) {
    manifests.push_back(store::manifest_name(set.manifest.module, set.manifest.started));
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (std::size_t other = 0; other < sets.size(); ++other) {
      if (other != i) sets[i].manifest.members.push_back(manifests[other]);
    }
  }
  with_context("publishing", [&] { give_names(sets, manifests, directory); });
}

}  // namespace bba::capture
