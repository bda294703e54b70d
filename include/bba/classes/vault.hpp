// Class C, Vault and OpenBao: a raft snapshot, streamed by `operator raft snapshot save
// /dev/stdout`. Source: hashicorp/vault command/operator_raft_snapshot_save.go, the status and
// snapshot pages of its documents.
#pragma once

#include <map>

#include "bba/classes/mounts.hpp"

namespace bba::classes {

// What the operator's environment may lend: VAULT_TOKEN and how to reach the server. The
// container's own address comes first, so VAULT_ADDR is lent only where the container has none.
std::vector<wire::EnvVar> vault_env(const wire::Container& container,
                                    const std::map<std::string, std::string>& operator_environment);

// `status -format=json` through vault and bao, the likelier program first.
std::vector<wire::ExecConfig> vault_probes(const Target& target,
                                           const std::vector<wire::EnvVar>& env);

struct VaultStatus {
  bool sealed = false;
  bool initialized = true;
  std::string version;
  std::string storage_type;  // "raft", "file", ...; empty where the server does not say
  std::string cluster_name;
};
// The exit code is 0 unsealed, 2 sealed, 1 error.
std::optional<VaultStatus> parse_vault_status(std::string_view out);

// Why no snapshot can be taken, so that the files are archived instead; nullopt: it can.
std::optional<std::string> no_snapshot_because(const VaultStatus& status, bool has_token);

Capture vault_snapshot(const Target& target, const wire::ExecConfig& probe,
                       const VaultStatus& status);
// Whether the words of a failed save mean that the storage is not raft.
bool is_not_raft(std::string_view words);

}  // namespace bba::classes
