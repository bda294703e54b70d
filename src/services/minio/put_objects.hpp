// Puts the objects of an artifact back into the server that runs, through its client: those that
// are missing or changed, and on request removes what came since.
#pragma once

#include <memory>

#include "bba/service/capture.hpp"
#include "bba/service/in_place.hpp"
#include "bba/service/restore.hpp"

namespace bba::services::minio {

// With the client that `present` takes the safety set with. Lists the server, and compares with the
// artifact.
std::unique_ptr<service::InPlace> put_objects(service::RestoreTarget& target,
                                              const service::Capture& present,
                                              const service::InPlaceOptions& options);

// The etag of what was uploaded in one part of a multipart upload, as `mc pipe` does: the MD5 of
// the content's MD5, and "-1".
std::string single_part_etag(const std::string& md5);

}  // namespace bba::services::minio
