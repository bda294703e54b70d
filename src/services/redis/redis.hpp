// Redis and Valkey: the service and its artifact kind, for the registry.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::redis {

const service::Service& redis();
const service::ArtifactKind& directory_kind();

}  // namespace bba::services::redis
