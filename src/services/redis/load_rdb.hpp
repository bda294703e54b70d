// With `appendonly yes` and no append-only file a server does not read its RDB: it starts empty. A
// copy of the RDB under that file's name is loaded instead: from version 4 on servers read it as
// the file's beginning, from 7 on they move it to where the file's parts lie. Source: redis/redis
// src/aof.c.
#pragma once

#include "bba/service/restore_steps.hpp"

namespace bba::services::redis {

// The step after `record`'s directory was put back, where it holds an RDB and no append-only
// file; null for another one.
service::StepPtr load_rdb(const store::Manifest& manifest, const store::ArtifactRecord& record);

}  // namespace bba::services::redis
