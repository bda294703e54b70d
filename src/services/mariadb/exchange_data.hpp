// What a restore has to know of a server whose data directory it exchanges for one that was built
// from a dump.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "bba/service/service.hpp"

namespace bba::services::mariadb {

// The destination of the mount that holds the data directory. Throws Error{container} where none
// does, or where a part of it is a mount of its own.
std::string data_mount(const wire::Container& live);

// Whether a file is configuration of the server or a key, none of which a dump holds; and all that
// lies beside the data directory in its mount.
bool is_configuration(const wire::Container& live, const std::string& path);

// ---- pure parts

// Of a server's variables those that say where it keeps what it has.
using Variables = std::map<std::string, std::string>;

// Names the first of them that leads out of the data directory, with its value; empty where none
// does.
std::string leads_elsewhere(const Variables& variables);

// Why what a dump says of accounts does not fit a server, by the versions that both say of
// themselves; empty where it does, or where one of them is not known.
std::string version_misfit(std::string_view of_dump, std::string_view of_server);

// ---- what is asked

// Throws Error{container} where the server is a replica or one of a Galera cluster, keeps something
// outside of its data directory, or is of another release than the dump. `live` is null where the
// server is not to be asked: then its files alone tell.
void require_plain_server(const service::ExchangePlace& place, service::RestoreTarget* live);

// The same of the server that was built. Throws Error{capture}.
void require_same_directory(const service::ExchangePlace& place, service::RestoreTarget& target);

// Whether a server answers and has every database of the record; one that takes no password that is
// known only has to answer. Throws Error{capture} where it lacks one.
bool has_databases(service::RestoreTarget& target);

}  // namespace bba::services::mariadb
