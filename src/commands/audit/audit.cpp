// Makes the report of the facts: the rows of all modules, the findings, the candidates.
#include "bba/commands/audit/audit.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "bba/base/text.hpp"
#include "bba/run/host_name.hpp"
#include "first_runs.hpp"
#include "module_row.hpp"
#include "sidecar_row.hpp"
#include "unowned.hpp"

namespace bba::commands {

namespace {

using conf::Statefulness;

// Whether some module.yaml names this host. Where none does, hosts go by other names there (or the
// files are read elsewhere), and a note on each row would not help.
bool hosts_can_be_told(const AuditFacts& facts) {
  return std::any_of(facts.platform.modules.begin(), facts.platform.modules.end(),
                     [&](const auto& one) { return run::same_host(one.second.host, facts.host); });
}

void remark_on_hosts(const AuditFacts& facts, std::vector<std::string>& remarks) {
  std::map<std::string, int> hosts;
  for (const auto& [id, module] : facts.platform.modules) {
    if (!module.host.empty()) ++hosts[module.host];
  }
  if (hosts.empty()) return;
  std::vector<std::string> names;
  for (const auto& [host, count] : hosts) names.push_back(fmt::format("{} ({})", host, count));
  remarks.push_back(fmt::format("no module.yaml says that it lives on this host, {}: they say {}",
                                facts.host, join(names, ", ")));
}

}  // namespace

AuditReport audit_report(const AuditFacts& facts) {
  AuditReport report;
  report.platform_root = facts.platform.root;
  report.host = facts.host;
  report.time = facts.time;
  report.engine_trouble = facts.engine_trouble;
  report.backups_trouble = facts.backups_trouble;
  const bool tell_hosts = hosts_can_be_told(facts);
  if (!tell_hosts) remark_on_hosts(facts, report.remarks);

  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::stateful) continue;
    report.rows.push_back(module_row(facts, module, tell_hosts, report.findings));
  }
  std::vector<AuditRow> sidecars;
  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::sidecar_bound) continue;
    sidecars.push_back(sidecar_row(facts, module, report.rows));
  }
  std::move(sidecars.begin(), sidecars.end(), std::back_inserter(report.rows));
  std::sort(report.rows.begin(), report.rows.end(), [](const AuditRow& a, const AuditRow& b) {
    return std::tie(a.module_class, a.module) < std::tie(b.module_class, b.module);
  });

  if (facts.containers) {
    find_unowned(facts, report.findings);
    report.first_runs = first_runs(report.rows);
  }
  for (const auto& [id, module] : facts.platform.modules) {
    if (module.statefulness != Statefulness::unknown) continue;
    report.findings.push_back({"no-statefulness", id,
                               "its module.yaml does not say whether it is stateful, so it is not "
                               "in this report",
                               "set spec.runtime.statefulness"});
  }
  for (const std::string& problem : facts.platform.problems) {
    report.findings.push_back({"platform-file", "", problem, ""});
  }
  return report;
}

}  // namespace bba::commands
