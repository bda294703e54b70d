// What the reference of a request means, where one is given instead of the newest set.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bba/store/catalogue.hpp"
#include "evidence.hpp"

namespace bba::commands {

Refusal bad_reference(const GateRequest& request, const std::string& why);

// What is wrong with the reference by its name alone, before any set is looked at.
std::optional<Refusal> name_refusal(const run::Session& session, const GateRequest& request);

// The set that the reference belongs to.
std::optional<std::size_t> referred_set(const run::Session& session, const GateRequest& request,
                                        const std::vector<store::BackupSet>& sets,
                                        Evidence& evidence);

bool proof_names(const store::Proof& proof, const std::string& reference);

}  // namespace bba::commands
