// Gives a snapshot back to the server that runs: one request, which the server takes as a whole or
// not at all.
#pragma once

#include <memory>

#include "bba/service/capture.hpp"
#include "bba/service/in_place.hpp"
#include "bba/service/restore.hpp"

namespace bba::services::vault {

// With the client and the token that `present` takes the safety set with. Throws Error{container}
// where the server is another cluster than the one that was backed up and `options` do not allow
// it, or the token may not restore.
std::unique_ptr<service::InPlace> install_snapshot(service::RestoreTarget& target,
                                                   const service::Capture& present,
                                                   const service::InPlaceOptions& options);

}  // namespace bba::services::vault
