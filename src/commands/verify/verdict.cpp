// Says whether a verdict is good and, where it is not, the first thing that is broken.
#include "bba/commands/verify/verdict.hpp"

namespace bba::commands {

bool SetVerdict::good() const {
  return first_broken().empty();
}

std::string SetVerdict::first_broken() const {
  if (!broken.empty()) return manifest_file + ": " + broken;
  for (const ArtifactVerdict& artifact : artifacts) {
    if (!artifact.broken.empty()) return artifact.file + ": " + artifact.broken;
  }
  return {};
}

std::string Verification::first_broken() const {
  for (const SetVerdict& set : sets) {
    if (const std::string broken = set.first_broken(); !broken.empty()) return broken;
  }
  return {};
}

}  // namespace bba::commands
