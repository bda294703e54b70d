// MariaDB and MySQL: the service and its artifact kind, for the registry.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::mariadb {

const service::Service& mariadb();
const service::ArtifactKind& dump_kind();

}  // namespace bba::services::mariadb
