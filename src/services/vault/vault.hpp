// Vault and OpenBao: the service and its artifact kind, for the registry.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::vault {

const service::Service& vault();
const service::ArtifactKind& snapshot_kind();

}  // namespace bba::services::vault
