// Puts an artifact back into a service that runs, by the service's own means: not in one step, and
// without a directory that could be exchanged. The state before is in a safety set.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bba/restore/scratch.hpp"
#include "bba/service/in_place.hpp"

namespace bba::restore {

// One artifact, with what was found out of the service before anything is touched.
class InPlaceRestore {
 public:
  // `context.live` is the service's container, which runs. `present` is the capture that takes the
  // safety set. Both must outlive it. Asks the server; throws Error{container} or Error{config}
  // where the artifact cannot go back.
  InPlaceRestore(const ScratchContext& context, const store::ArtifactRecord& record,
                 const service::ArtifactKind& kind, const service::Capture& present,
                 const service::InPlaceOptions& options);
  InPlaceRestore(const InPlaceRestore&) = delete;
  InPlaceRestore& operator=(const InPlaceRestore&) = delete;
  ~InPlaceRestore();

  std::vector<std::string> steps() const;
  bool is_whole() const;
  // As service::InPlace::carry_out(). What was done and compared is returned.
  service::PartReport carry_out(const std::function<void()>& changing,
                                std::vector<std::string>& needs_hand);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::restore
