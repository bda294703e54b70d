// `audit`: what stands between each stateful module and its next backup, what is wrong with the
// platform's files, and where to begin. It reads only and runs nothing in a container. The report
// is a pure function of what gather_audit() found out; audit_text.hpp shows it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bba/base/time.hpp"
#include "bba/conf/platform.hpp"
#include "bba/run/session.hpp"
#include "bba/service/mounts.hpp"
#include "bba/service/service.hpp"
#include "bba/tree/archive_rules.hpp"

namespace bba::commands {

struct LastBackup {
  Timestamp time{};
  std::uint64_t bytes = 0;           // of its artifacts
  std::vector<std::string> missing;  // artifacts that are not there any more
};

struct AuditFacts {
  conf::Platform platform;
  conf::Config config;
  // The container names in each module's runbook, by module; also the modules whose module.yaml
  // cannot be read, as a container of theirs is not unowned.
  std::map<std::string, std::vector<std::string>> runbook_names;
  std::string host;  // where the containers are
  Timestamp time{};
  std::map<std::string, std::string> environment;  // the operator's
  // nullopt where the engine did not answer: engine_trouble says why.
  std::optional<std::vector<wire::ContainerSummary>> containers;
  std::string engine_trouble;
  // The newest set of each module; nullopt where the backup directory cannot be read.
  std::optional<std::map<std::string, LastBackup>> backups;
  std::string backups_trouble;
  // What the list does not say of a container; nullopt where it is gone.
  std::function<std::optional<wire::Container>(const std::string& id)> inspect;
  // What is asked of this host's files.
  std::function<tree::SourceKind(const std::string&)> source_kind;
  std::function<std::optional<tree::MeasureResult>(const tree::ArchiveRules&)> measure;
};

using service::Ready;

struct AuditData {
  std::string path;    // in the container; "host:..." for a directory of the host
  std::string source;  // the volume's name, or a path of the host
  std::optional<tree::MeasureResult> size;
};

struct AuditRow {
  std::string module;
  char module_class = 0;
  std::string rule;
  std::vector<std::string> through;  // sidecar-bound: the modules that are backed up in its place
  std::string container;             // empty where none was found
  std::string state;                 // empty where no engine answered
  std::string found_by;
  std::string image;
  std::string stack;  // of its compose service; empty where there is none
  std::vector<AuditData> data;
  std::vector<std::string> sharing;  // containers that are up and write to the same data
  std::optional<LastBackup> last_backup;
  Ready ready = Ready::yes;
  std::vector<std::string> notes;
};

struct Finding {
  std::string kind;     // no-container, ambiguous, unowned, platform-file, no-statefulness
  std::string subject;  // the module, the container, or empty
  std::string what;
  std::string hint;
};

struct FirstRun {
  std::string module;
  char module_class = 0;
  std::string reason;
};

struct AuditReport {
  std::string platform_root;
  std::string host;
  Timestamp time{};
  std::string engine_trouble;   // empty: the engine answered
  std::string backups_trouble;  // empty: the backup directory was read
  std::vector<std::string> remarks;
  std::vector<AuditRow> rows;  // by class, then by module
  std::vector<Finding> findings;
  std::vector<FirstRun> first_runs;  // lowest blast radius first
};

AuditFacts gather_audit(run::Session& session);
AuditReport audit_report(const AuditFacts& facts);

// What a first run may have to read at most.
inline constexpr std::uint64_t small_enough = 1ULL << 30;
// In the notes of each module without a backup; a table says it in a column of its own.
inline constexpr std::string_view never_backed_up = "never backed up";

}  // namespace bba::commands
