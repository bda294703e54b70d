#include "compare_keyspace.hpp"

#include <optional>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "compare_keys.hpp"
#include "server.hpp"

namespace bba::services::redis {

namespace {

using service::RestoreTarget;

// The first client that the server answers, once it has loaded its data.
std::optional<Info> loaded_info(RestoreTarget& target,
                                const std::vector<wire::ExecConfig>& candidates) {
  for (const wire::ExecConfig& client : candidates) {
    const docker::ExecResult answer = target.run(command(client, {"INFO"}));
    const auto info = parse_info(answer.out);
    if (answer.exit_code != 0 || !info) continue;
    if (answer.out.find("\nloading:0") == std::string::npos) return std::nullopt;
    return info;
  }
  return std::nullopt;
}

std::vector<wire::ExecConfig> clients_of(RestoreTarget& target) {
  service::Target asked;
  asked.module = target.manifest().module;
  asked.container = target.live();
  asked.settings = target.settings();
  const auto lent = target.operator_environment().find("REDISCLI_AUTH");
  if (lent != target.operator_environment().end()) {
    asked.operator_env.push_back({lent->first, lent->second});
  }
  return clients(asked, target.secret(password_variables()));
}

}  // namespace

void require_master(RestoreTarget& target) {
  for (const wire::ExecConfig& client : clients_of(target)) {
    const docker::ExecResult answer = target.run(command(client, {"INFO", "replication"}));
    if (answer.exit_code != 0 || answer.out.find("role:slave") == std::string::npos) continue;
    throw Error(ErrorKind::container,
                "the server is a replica: it would take its master's data again at once",
                "restore its master");
  }
}

bool has_keyspace(RestoreTarget& target) {
  const auto info = loaded_info(target, clients_of(target));
  if (!info) return false;
  const Json* keyspace = member(target.record().found, "keyspace");
  if (keyspace == nullptr) return true;
  const std::string missing = missing_database(*keyspace, info->keyspace);
  if (missing.empty()) return true;
  throw Error(ErrorKind::capture,
              fmt::format("the server has no keys in {}, and the set has some", missing));
}

void compare_keyspace(RestoreTarget& target) {
  std::vector<wire::ExecConfig> candidates;
  std::optional<Info> info;
  target.start([&] {
    if (candidates.empty()) candidates = clients_of(target);
    info = loaded_info(target, candidates);
    return info.has_value();
  });
  service::PartReport& report = target.report;
  std::uint64_t keys = 0;
  for (const auto& [database, counts] : info->keyspace.items()) {
    keys += size_member(counts, "keys").value_or(0);
  }
  report.compared["databases"] = info->keyspace.size();
  report.compared["keys"] = keys;
  const Json* keyspace = member(target.record().found, "keyspace");
  if (keyspace == nullptr) {
    report.lines.push_back(fmt::format("a server started on it, with {} keys", keys));
    report.not_proven.emplace_back(
        "that no key is missing: the backup could not ask the server how many it had");
    return;
  }
  const KeyVerdict verdict = compare_keys(*keyspace, info->keyspace);
  if (!verdict.lost.empty()) throw Error(ErrorKind::artifact, verdict.lost);
  report.lines.push_back(fmt::format("a server started on it, with {} keys in {} databases{}", keys,
                                     info->keyspace.size(),
                                     verdict.not_proven.empty() ? ", as many as there were" : ""));
  report.not_proven.insert(report.not_proven.end(), verdict.not_proven.begin(),
                           verdict.not_proven.end());
}

}  // namespace bba::services::redis
