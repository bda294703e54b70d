// What is wrong with a set by its manifest alone, before an artifact is read.
#pragma once

#include <string>

#include "bba/store/catalogue.hpp"

namespace bba::commands {

// Each is empty where nothing is wrong: the manifest as a whole, and what it says of one artifact.
std::string manifest_fault(const store::OwnedDirectory& directory, const store::BackupSet& set);
std::string record_fault(const store::Manifest& manifest, const store::ArtifactRecord& record);

}  // namespace bba::commands
