// `gate`: whether a fresh, proven backup of a module is there. Judged by the backup directory where
// the caller may read it, else by the public proof. docs/gate.md describes the conditions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "bba/run/session.hpp"
#include "bba/store/proof.hpp"

namespace bba::commands {

struct GateRequest {
  std::string module;
  std::chrono::seconds max_age = std::chrono::hours(1);
  store::ProofLevel require = store::ProofLevel::verified;
  // A set that holds less than (1 - max_shrink) of the median of those before it is refused.
  double max_shrink = 0.8;
  bool skip_image_check = false;
  bool accept_fallback = false;          // also a set that changed while it was read
  bool accept_incomplete = false;        // what is known to be missing is not needed
  std::optional<std::string> reference;  // judge this artifact's set instead of the newest
  Timestamp at = now();
};

struct Refusal {
  std::string condition;  // one of the table in docs/gate.md: set, reference, whole, ...
  std::string why;
  std::string run;  // what to do about it
};

struct GateVerdict {
  bool by_proof = false;  // judged by the public proof, not by the backup directory
  std::string module;
  std::optional<store::Proof> proof;  // what was judged; nullopt where there was nothing to judge
  std::optional<std::chrono::seconds> age;
  std::vector<Refusal> refusals;  // in the order of the conditions

  bool passed() const { return refusals.empty(); }
  std::string reference() const;  // the path of the first artifact, empty where there is none
};

// Refusals are values; throws only on a request to stop and on wrong use.
GateVerdict gate(run::Session& session, const GateRequest& request);

// The reference and the manifest's digest, for people, and all of the verdict as JSON.
std::string gate_text(const GateVerdict& verdict);
Json gate_json(const GateVerdict& verdict);
// The first refusal, as an error.
Error gate_error(const GateVerdict& verdict);

}  // namespace bba::commands
