// MinIO: the service and its artifact kind, for the registry.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::minio {

const service::Service& minio();
const service::ArtifactKind& objects_kind();

}  // namespace bba::services::minio
