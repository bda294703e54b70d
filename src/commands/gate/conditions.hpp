// The conditions that are judged by the evidence alone: each refuses, or is met.
#pragma once

#include <optional>
#include <string>

#include "bba/commands/gate/gate.hpp"

namespace bba::commands {

std::optional<Refusal> fallback_refusal(const store::Proof& proof, const GateRequest& request);
std::optional<Refusal> changed_refusal(const store::Proof& proof, const GateRequest& request);
std::optional<Refusal> incomplete_refusal(const store::Proof& proof, const GateRequest& request);
std::optional<Refusal> clock_refusal(const store::Proof& proof, const GateRequest& request);
std::optional<Refusal> age_refusal(const store::Proof& proof, const GateRequest& request);
std::optional<Refusal> level_refusal(const store::Proof& proof, const GateRequest& request,
                                     const std::optional<std::string>& failed_drill);
std::optional<Refusal> size_refusal(const store::Proof& proof, const GateRequest& request);

}  // namespace bba::commands
