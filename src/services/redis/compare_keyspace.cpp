// Class B: a server of the same image starts on the restored directory, and has to hold as many
// keys as the one that was backed up had around its save.
#include <algorithm>

#include "bba/base/text.hpp"
#include "server.hpp"
#include "compare_keys.hpp"
#include "bba/restore/scratch.hpp"

namespace bba::ops {

namespace {

// The first client that the server answers, once it has loaded its data.
std::optional<classes::RedisInfo> loaded_info(const DrillContext& context,
                                              const std::string& scratch,
                                              const std::vector<wire::ExecConfig>& clients) {
  for (const wire::ExecConfig& client : clients) {
    const docker::ExecResult answer =
        context.session.engine.run(scratch, classes::redis_command(client, {"INFO"}));
    const auto info = classes::parse_redis_info(answer.out);
    if (answer.exit_code != 0 || !info) continue;
    if (answer.out.find("\nloading:0") == std::string::npos) return std::nullopt;
    return info;
  }
  return std::nullopt;
}

std::vector<wire::ExecConfig> clients_of(const DrillContext& context, const std::string& scratch) {
  const ops::Settings& settings = context.session.settings;
  classes::Target target;
  target.module = context.manifest.module;
  target.container = context.live;
  const auto known = settings.config.modules.find(target.module);
  if (known != settings.config.modules.end()) target.settings = known->second;
  const auto lent = settings.environment.find("REDISCLI_AUTH");
  if (lent != settings.environment.end())
    target.operator_env.push_back({lent->first, lent->second});
  return classes::redis_clients(
      target, scratch_secret(context, scratch, classes::redis_password_variables()));
}

}  // namespace

PartReport drill_rdb(const DrillContext& context, const store::ArtifactRecord& record) {
  const RestorePlace place = place_of(record);
  ScratchSpec spec;
  spec.volumes = data_volumes(context.live);
  std::erase_if(spec.volumes,
                [&](const ScratchVolume& volume) { return volume.destination == place.volume; });
  if (!place.volume.empty()) spec.volumes.push_back({place.volume});

  PartReport report;
  with_scratch(context, spec, [&](const std::string& scratch) {
    lend_configuration(context, scratch, {place.path});
    report = restore_archive(context, scratch, place, record);
    std::vector<wire::ExecConfig> clients;
    std::optional<classes::RedisInfo> info;
    start_scratch(context, scratch, [&] {
      if (clients.empty()) clients = clients_of(context, scratch);
      info = loaded_info(context, scratch, clients);
      return info.has_value();
    });
    const Json* keyspace = member(record.found, "keyspace");
    std::uint64_t keys = 0;
    for (const auto& [database, counts] : info->keyspace.items()) {
      keys += size_member(counts, "keys").value_or(0);
    }
    report.compared["databases"] = info->keyspace.size();
    report.compared["keys"] = keys;
    if (keyspace == nullptr) {
      report.lines.push_back(fmt::format("a server started on it, with {} keys", keys));
      report.not_proven.push_back(
          "that no key is missing: the backup could not ask the server how many it had");
      return;
    }
    const KeyVerdict verdict = compare_keys(*keyspace, info->keyspace);
    if (!verdict.lost.empty()) throw Error(ErrorKind::artifact, verdict.lost);
    report.lines.push_back(fmt::format(
        "a server started on it, with {} keys in {} databases{}", keys, info->keyspace.size(),
        verdict.not_proven.empty() ? ", as many as there were" : ""));
    report.not_proven.insert(report.not_proven.end(), verdict.not_proven.begin(),
                             verdict.not_proven.end());
  });
  return report;
}

}  // namespace bba::ops
