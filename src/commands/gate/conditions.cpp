// Compares what is known of a backup with what the request allows.
#include "conditions.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "bba/base/text.hpp"
#include "program.hpp"

namespace bba::commands {

namespace {

// What to do about a set that is a fallback, changed or incomplete.
std::string again_or(const store::Proof& proof, const std::string& how, const std::string& option) {
  return fmt::format("{}backup {}{}; or allow it with {}", program, proof.module, how, option);
}

}  // namespace

std::optional<Refusal> clock_refusal(const store::Proof& proof, const GateRequest& request) {
  const Timestamp latest = std::max({proof.started, proof.finished, proof.proven});
  if (latest <= request.at) return std::nullopt;
  const bool of_the_future = proof.started > request.at;
  return Refusal{
      "clock",
      fmt::format("the backup is of {}, and the clock says {}: one of the two is wrong, so its age "
                  "is not known",
                  format_rfc3339(latest), format_rfc3339(request.at)),
      of_the_future
          ? fmt::format("set the clock right; if it is right, move {} and its artifacts away, as "
                        "it stays the newest, or judge another set with --ref",
                        proof.manifest)
          : "set the clock right, then take a new backup: " +
                (program + ("backup " + request.module))};
}

std::optional<Refusal> age_refusal(const store::Proof& proof, const GateRequest& request) {
  const std::chrono::seconds age = request.at - proof.started;
  if (age <= request.max_age) return std::nullopt;
  return Refusal{"age",
                 fmt::format("the backup is {} old, and no more than {} is allowed",
                             format_duration(age), format_duration(request.max_age)),
                 program + ("backup " + request.module)};
}

std::optional<Refusal> fallback_refusal(const store::Proof& proof, const GateRequest& request) {
  if (!proof.fallback || request.accept_fallback) return std::nullopt;
  return Refusal{"fallback",
                 fmt::format("the backup is a fallback ({}): {}", proof.strategy, *proof.fallback),
                 again_or(proof, ", once that is put right", "--accept-fallback")};
}

std::optional<Refusal> changed_refusal(const store::Proof& proof, const GateRequest& request) {
  if (proof.changed_while_read == 0 || request.accept_fallback) return std::nullopt;
  return Refusal{"changed",
                 fmt::format("entries that changed while they were read, and may be torn: {}",
                             proof.changed_while_read),
                 again_or(proof, " --consistency pause", "--accept-fallback")};
}

std::optional<Refusal> incomplete_refusal(const store::Proof& proof, const GateRequest& request) {
  if (proof.incomplete.empty() || request.accept_incomplete) return std::nullopt;
  return Refusal{"incomplete", "the backup is known not to hold: " + join(proof.incomplete, "; "),
                 again_or(proof, ", once it can hold that", "--accept-incomplete")};
}

std::optional<Refusal> level_refusal(const store::Proof& proof, const GateRequest& request,
                                     const std::optional<std::string>& failed_drill) {
  if (failed_drill) {
    return Refusal{"proof", "the last drill of this backup failed: " + *failed_drill,
                   program + ("backup " + request.module)};
  }
  if (proof.level >= request.require) return std::nullopt;
  return Refusal{"proof",
                 "the backup was not restored in a drill, which --require drilled asks for",
                 program + ("drill " + request.module)};
}

std::optional<Refusal> size_refusal(const store::Proof& proof, const GateRequest& request) {
  std::vector<std::uint64_t> before = proof.content_bytes_before;
  if (before.empty()) return std::nullopt;
  std::sort(before.begin(), before.end());
  const std::size_t middle = before.size() / 2;
  const double median =
      before.size() % 2 == 1
          ? static_cast<double>(before[middle])
          : (static_cast<double>(before[middle - 1]) + static_cast<double>(before[middle])) / 2;
  if (static_cast<double>(proof.content_bytes) >= (1 - request.max_shrink) * median) {
    return std::nullopt;
  }
  return Refusal{
      "size",
      fmt::format("the backup holds {}, and the median of the {} before it is {}: data may be gone",
                  format_bytes(proof.content_bytes), before.size(),
                  format_bytes(static_cast<std::uint64_t>(median))),
      "look at the service; if it is meant to be smaller, allow it with --max-shrink 100%"};
}

}  // namespace bba::commands
