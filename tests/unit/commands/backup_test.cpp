#include "bba/commands/backup.hpp"

#include <doctest/doctest.h>

namespace bba::commands {

TEST_CASE("a complete set needs no attention, a fallback or an incomplete set does") {
  store::Manifest manifest;
  manifest.module = "vault";
  manifest.warnings = {"something to know"};
  manifest.follow_ups = {"something to do"};
  CHECK(needs_hand_of(manifest).empty());
  manifest.fallback = "no snapshot, as it is sealed";
  CHECK(needs_hand_of(manifest) ==
        std::vector<std::string>{"vault: the set is a fallback: no snapshot, as it is sealed"});
  manifest.incomplete = {"bucket photos", "bucket films"};
  CHECK(needs_hand_of(manifest) ==
        std::vector<std::string>{"vault: the set is a fallback: no snapshot, as it is sealed",
                                 "vault: not in the set: bucket photos",
                                 "vault: not in the set: bucket films"});
  manifest.fallback.reset();
  CHECK(needs_hand_of(manifest).size() == 2);
}

}  // namespace bba::commands
