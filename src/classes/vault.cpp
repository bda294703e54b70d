#include "bba/classes/vault.hpp"

#include <algorithm>
#include <array>

#include "bba/base/text.hpp"

namespace bba::classes {

std::vector<wire::EnvVar> vault_env(
    const wire::Container& container,
    const std::map<std::string, std::string>& operator_environment) {
  std::vector<wire::EnvVar> env;
  const auto lend = [&](const std::string& name) {
    const auto value = operator_environment.find(name);
    if (value != operator_environment.end() && !value->second.empty()) {
      env.push_back({name, value->second});
    }
  };
  lend("VAULT_TOKEN");
  for (const char* name : {"VAULT_ADDR", "VAULT_CACERT", "VAULT_SKIP_VERIFY", "VAULT_NAMESPACE"}) {
    if (!wire::env_value(container, name)) lend(name);
  }
  return env;
}

std::vector<wire::ExecConfig> vault_probes(const Target& target,
                                           const std::vector<wire::EnvVar>& env) {
  const std::string image = conf::image_repository(target.container.config_image);
  std::vector<std::string> programs{"vault", "bao"};
  if (image.find("bao") != image.npos) std::reverse(programs.begin(), programs.end());
  std::vector<wire::ExecConfig> probes;
  for (const std::string& program : programs) {
    wire::ExecConfig probe;
    probe.argv = {program, "status", "-format=json"};
    probe.env = env;
    probe.env.insert(probe.env.end(), target.operator_env.begin(), target.operator_env.end());
    probes.push_back(std::move(probe));
  }
  return probes;
}

std::optional<VaultStatus> parse_vault_status(std::string_view out) {
  const std::optional<Json> json = parse_json(trimmed(out));
  if (!json) return std::nullopt;
  const auto sealed = bool_member(*json, "sealed");
  if (!sealed) return std::nullopt;
  VaultStatus status;
  status.sealed = *sealed;
  status.initialized = bool_member(*json, "initialized").value_or(true);
  status.version = string_member(*json, "version").value_or("");
  status.storage_type = string_member(*json, "storage_type").value_or("");
  status.cluster_name = string_member(*json, "cluster_name").value_or("");
  return status;
}

std::optional<std::string> no_snapshot_because(const VaultStatus& status, bool has_token) {
  if (!status.storage_type.empty() && status.storage_type != "raft") {
    return fmt::format("its storage is {}, not raft", status.storage_type);
  }
  if (!status.initialized) return "it is not initialized";
  if (status.sealed) return "it is sealed";
  if (!has_token) return "VAULT_TOKEN is not set in your environment";
  return std::nullopt;
}

Capture vault_snapshot(const Target& target, const wire::ExecConfig& probe,
                       const VaultStatus& status) {
  Capture capture;
  capture.target = target;
  capture.strategy = "raft snapshot";
  capture.consistency = Consistency::live;
  capture.consistency_reason = "a snapshot is one point of the raft log";
  ExecDump dump;
  dump.format = ExecDump::Format::raft_snapshot;
  dump.exec = probe;
  dump.exec.argv = {probe.argv.front(), "operator", "raft", "snapshot", "save", "/dev/stdout"};
  capture.parts.push_back({"", std::move(dump)});
  capture.facts = {{"version", status.version},
                   {"storage_type", status.storage_type},
                   {"cluster_name", status.cluster_name}};
  capture.follow_ups.push_back(
      "restoring needs the unseal keys of this Vault: they are not in the snapshot");
  return capture;
}

bool is_not_raft(std::string_view words) {
  return words.find("raft storage is not in use") != words.npos;
}

}  // namespace bba::classes
