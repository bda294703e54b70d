// Class C, Vault and OpenBao: a raft snapshot, streamed by `operator raft snapshot save
// /dev/stdout`. Source: hashicorp/vault command/operator_raft_snapshot_save.go, the status and
// snapshot pages of its documents.
#pragma once

#include <map>

#include "bba/service/mounts.hpp"

namespace bba::services::vault {

// `status -format=json` through vault and bao, the likelier program first, each with these of the
// operator's variables: the token, and how to reach the server where the container does
// not say it.
std::vector<wire::ExecConfig> probes(
    const service::Target& target, const std::map<std::string, std::string>& operator_environment);
// Whether the program of that probe finds a token in its environment.
bool has_token(const service::Target& target, const wire::ExecConfig& probe);

struct Status {
  bool sealed = false;
  bool initialized = true;
  std::string version;
  std::string storage_type;  // "raft", "file", ...; empty where the server does not say
  std::string cluster_name;
  std::string cluster_id;  // tells the same cluster from another; empty while it is sealed
};
// The exit code is 0 unsealed, 2 sealed, 1 error.
std::optional<Status> parse_status(std::string_view out);

// Why the server can give no snapshot to anybody, so that the files are archived instead.
std::optional<std::string> no_snapshot_because(const Status& status);

service::Capture snapshot_capture(const service::Target& target, const wire::ExecConfig& probe,
                                  const Status& status);
// Whether the words of a failed save mean that the storage is not raft.
bool is_not_raft(std::string_view words);
// What to do about a save by that program that failed with these words; empty where they say it
// themselves.
std::string snapshot_hint(std::string_view words, const std::string& module,
                          const std::string& program);
// How the operator names another server than the container does.
std::string address_hint(const std::string& module, const std::string& program);

}  // namespace bba::services::vault
