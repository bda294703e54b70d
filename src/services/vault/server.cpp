#include "server.hpp"

#include <algorithm>
#include <array>

#include "bba/base/text.hpp"

namespace bba::services::vault {

namespace {

using Environment = std::map<std::string, std::string>;

// bao reads BAO_TOKEN and, without it, VAULT_TOKEN; vault knows its own names only.
std::vector<std::string> prefixes(const std::string& program) {
  if (program == "bao") return {"BAO_", "VAULT_"};
  return {"VAULT_"};
}

// Under either program's name.
bool in_container(const service::Target& target, const std::string& name) {
  return wire::env_value(target.container, "VAULT_" + name) ||
         wire::env_value(target.container, "BAO_" + name);
}

std::vector<wire::EnvVar> environment_of(const std::string& program, const service::Target& target,
                                         const Environment& operator_environment) {
  std::vector<wire::EnvVar> env;
  for (const char* name : {"TOKEN", "ADDR", "CACERT", "SKIP_VERIFY", "NAMESPACE"}) {
    // The container's own variables say how to reach its server; the token is the operator's.
    if (std::string_view(name) != "TOKEN" && in_container(target, name)) continue;
    for (const std::string& prefix : prefixes(program)) {
      const auto value = operator_environment.find(prefix + name);
      if (value == operator_environment.end() || value->second.empty()) continue;
      env.push_back({prefix + name, value->second});
      break;
    }
  }
  for (const wire::EnvVar& lent : target.operator_env) {
    if (std::none_of(env.begin(), env.end(),
                     [&](const wire::EnvVar& one) { return one.name == lent.name; })) {
      env.push_back(lent);
    }
  }
  return env;
}

}  // namespace

std::vector<wire::ExecConfig> probes(const service::Target& target,
                                     const Environment& operator_environment) {
  const std::string image = conf::image_repository(target.container.config_image);
  std::vector<std::string> programs{"vault", "bao"};
  if (image.find("bao") != image.npos) std::reverse(programs.begin(), programs.end());
  std::vector<wire::ExecConfig> all;
  for (const std::string& program : programs) {
    wire::ExecConfig probe;
    probe.argv = {program, "status", "-format=json"};
    probe.env = environment_of(program, target, operator_environment);
    all.push_back(std::move(probe));
  }
  return all;
}

bool has_token(const service::Target& target, const wire::ExecConfig& probe) {
  for (const std::string& prefix : prefixes(probe.argv.front())) {
    const std::string name = prefix + "TOKEN";
    const auto held = wire::env_value(target.container, name);
    if (held && !held->empty()) return true;
    if (std::any_of(probe.env.begin(), probe.env.end(),
                    [&](const wire::EnvVar& one) { return one.name == name; })) {
      return true;
    }
  }
  return false;
}

std::optional<Status> parse_status(std::string_view out) {
  const std::optional<Json> json = parse_json(trimmed(out));
  if (!json) return std::nullopt;
  const auto sealed = bool_member(*json, "sealed");
  if (!sealed) return std::nullopt;
  Status status;
  status.sealed = *sealed;
  status.initialized = bool_member(*json, "initialized").value_or(true);
  status.version = string_member(*json, "version").value_or("");
  status.storage_type = string_member(*json, "storage_type").value_or("");
  status.cluster_name = string_member(*json, "cluster_name").value_or("");
  status.cluster_id = string_member(*json, "cluster_id").value_or("");
  return status;
}

std::optional<std::string> no_snapshot_because(const Status& status) {
  if (!status.storage_type.empty() && status.storage_type != "raft") {
    return fmt::format("its storage is {}, not raft", status.storage_type);
  }
  if (!status.initialized) return "it is not initialized";
  if (status.sealed) return "it is sealed";
  return std::nullopt;
}

service::Capture snapshot_capture(const service::Target& target, const wire::ExecConfig& probe,
                                  const Status& status) {
  service::Capture capture;
  capture.target = target;
  capture.strategy = "raft snapshot";
  capture.consistency = service::Consistency::live;
  capture.consistency_reason = "a snapshot is one point of the raft log";
  service::ExecDump dump;
  dump.exec = probe;
  dump.exec.argv = {probe.argv.front(), "operator", "raft", "snapshot", "save", "/dev/stdout"};
  capture.parts.push_back({"", nullptr, std::move(dump)});
  capture.facts = {{"version", status.version},
                   {"storage_type", status.storage_type},
                   {"cluster_name", status.cluster_name},
                   {"cluster_id", status.cluster_id}};
  // The names of the variables with which the server was reached.
  capture.facts["environment"] = service::environment_names(probe.env);
  capture.follow_ups.push_back(
      "restoring needs the unseal keys of this Vault: they are not in the snapshot");
  for (const wire::EnvVar& variable : probe.env) {
    if (!variable.name.ends_with("_ADDR")) continue;
    capture.warnings.push_back(fmt::format(
        "{}the snapshot is of {}, as {} in your environment has it",
        in_container(target, "ADDR") ? "" : "the container does not say where its server is: ",
        variable.value, variable.name));
  }
  return capture;
}

bool is_not_raft(std::string_view words) {
  return words.find("raft storage is not in use") != words.npos;
}

std::string address_hint(const std::string& module, const std::string& program) {
  // The first of the names that the program reads.
  const std::string name = prefixes(program).front() + "ADDR";
  return fmt::format(
      "set {} in your environment and modules.{}.env to [{}] in the configuration: the container's "
      "own would come first otherwise",
      name, module, name);
}

std::string snapshot_hint(std::string_view words, const std::string& module,
                          const std::string& program) {
  const auto said = [&](std::string_view part) { return words.find(part) != words.npos; };
  if (said("permission denied") || said("Code: 403")) {
    return "the token needs a policy with read on sys/storage/raft/snapshot";
  }
  if (said("Vault is sealed") || said("Code: 503")) return "unseal it first";
  if (said("incomplete snapshot")) {
    return "is this node a standby? Back up the container of the active one; or, to ask that one "
           "from here, " +
           address_hint(module, program);
  }
  return {};
}

}  // namespace bba::services::vault
