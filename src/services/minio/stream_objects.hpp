// Every object of a server, as it lists them, into one tar.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::minio {

// The tar's bytes through `out`, finished. Throws Error{capture} that names the first object that
// could not be read as it is listed.
service::PartFindings stream_objects(const service::PartContext& context,
                                     const service::ServicePart& part, pipe::Stage& out,
                                     const ProgressFn& moved);

}  // namespace bba::services::minio
