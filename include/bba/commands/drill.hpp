// `drill`: restores a backup set into a scratch container without network, a clone of the one that
// was backed up, and compares what comes out with what the set says. docs/drill.md says what is
// compared for each class, and what a drill cannot prove.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

struct DrillRequest {
  // A manifest, an artifact (its whole set is meant), or a module id: its newest set.
  std::string reference;
  // What the scratch container may use.
  std::uint64_t memory = std::uint64_t{1} << 30;
};

struct Drill {
  Json receipt;                         // as it was written beside the manifest
  std::vector<std::string> lines;       // what was compared, a line each
  std::vector<std::string> needs_hand;  // the drill passed, but something was left
};

// Writes the receipt and publishes the proof where everything came back as it should. Throws
// Error{artifact} at the first thing that did not, and then the receipt says so and the proof is
// withdrawn; Error{container} where the container that was backed up, or its image, is not on this
// engine; Error{capture} where the scratch container does not come up.
Drill drill(run::Session& session, const DrillRequest& request);

}  // namespace bba::commands
