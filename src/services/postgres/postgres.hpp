// PostgreSQL: the service and its artifact kind, for the registry.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::postgres {

const service::Service& postgres();
const service::ArtifactKind& dump_kind();

}  // namespace bba::services::postgres
