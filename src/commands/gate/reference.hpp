// What the reference of a request means, where one is given instead of the newest set.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "evidence.hpp"

namespace bba::commands {

Refusal bad_reference(const GateRequest& request, const std::string& why);

// The index of the set that the file belongs to, in the backup directory; else a refusal.
std::optional<std::size_t> referred_set(const run::Session& session, const GateRequest& request,
                                        const FileReference& file,
                                        const store::Catalogue& catalogue, Evidence& evidence);

bool proof_names(const store::Proof& proof, const FileReference& file);

}  // namespace bba::commands
