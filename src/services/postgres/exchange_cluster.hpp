// What a restore has to know of a cluster whose directory it exchanges for one that was built from
// a dump.
#pragma once

#include <string>

#include "bba/service/service.hpp"

namespace bba::services::postgres {

// The destination of the mount that holds the data directory. Throws Error{container} where none
// does.
std::string cluster_mount(const wire::Container& live);

// Whether a file is configuration of the cluster, access rules or a key, none of which a dump
// holds; and all that lies beside the data directory in its mount.
bool is_configuration(const wire::Container& live, const std::string& path);

// Throws Error{container} where the cluster is a standby, has tablespaces, or keeps its WAL
// elsewhere: that lies outside of what is exchanged.
void require_plain_cluster(const service::ExchangePlace& place);

// Throws Error{capture} where the built server keeps its data elsewhere, or is older than the
// dump.
void require_same_directory(const service::ExchangePlace& place, service::RestoreTarget& target);

// Whether a server answers and has every database of the record. Throws Error{capture} where it
// lacks one.
bool has_databases(service::RestoreTarget& target);

}  // namespace bba::services::postgres
