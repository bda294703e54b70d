// Holds containers still while something is read, and releases them whatever happens.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bba/run/cleanup.hpp"
#include "bba/run/session.hpp"
#include "bba/service/capture.hpp"
#include "bba/store/manifest.hpp"

namespace bba::run {

struct QuiesceOutcome {
  std::vector<store::PausedRecord> records;
  std::vector<std::string> needs_hand;
};

// Pauses (or stops) the capture's containers in order, runs `action`, and undoes it in reverse
// order, also when `action` throws or the run is asked to stop. A container that cannot be released
// stays in the journal for `recover`, and is in needs_hand.
QuiesceOutcome while_quiet(Session& session, Cleanup& cleanup, const service::Capture& capture,
                           const std::function<void()>& action);

}  // namespace bba::run
