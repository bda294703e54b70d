// Finds out what the report is made of: the platform's files, the engine's containers, the backup
// directory.
#include <algorithm>
#include <chrono>
#include <unistd.h>

#include "bba/base/text.hpp"
#include "bba/commands/audit/audit.hpp"
#include "bba/run/host_name.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

namespace {

void ask_engine(run::Session& session, AuditFacts& facts) {
  try {
    std::vector<wire::ContainerSummary> containers = session.engine.list();
    for (wire::ContainerSummary& one : containers) {
      service::resolve_sources(one.mounts);
      if (!one.image.starts_with("sha256:")) continue;
      // The name now belongs to a newer image; what the container was created by is still known.
      try {
        one.image = session.engine.inspect(one.id).config_image;
      } catch (const docker::ApiError&) {
        one.state = "removing";  // it went away meanwhile
      }
    }
    if (const std::string name = session.engine.info().name; !name.empty()) facts.host = name;
    facts.containers = std::move(containers);
  } catch (const Error& error) {
    session.stop.throw_if_requested();
    if (error.kind() != ErrorKind::engine && error.kind() != ErrorKind::timeout) throw;
    facts.engine_trouble = error.what();
  }
}

void read_backups(const run::Session& session, AuditFacts& facts) {
  const std::string& path = session.settings.backup_dir;
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    facts.backups.emplace();
    return;
  }
  try {
    const auto directory = store::OwnedDirectory::open_existing(path);
    std::map<std::string, LastBackup> backups;
    for (const store::BackupSet& set : store::read_catalogue(directory).sets) {
      const store::Manifest& manifest = set.manifest;
      if (store::is_safety_set(manifest)) continue;
      const auto known = backups.find(manifest.module);
      if (known != backups.end() && known->second.time >= manifest.started) continue;
      LastBackup last{manifest.started, 0, set.missing};
      for (const store::ArtifactRecord& artifact : manifest.artifacts) last.bytes += artifact.bytes;
      backups[manifest.module] = std::move(last);
    }
    facts.backups = std::move(backups);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    facts.backups_trouble = error.what();
  }
}

}  // namespace

AuditFacts gather_audit(run::Session& session) {
  using Clock = std::chrono::steady_clock;
  AuditFacts facts;
  const std::string& root = session.settings.platform_root;
  facts.platform = conf::load_platform(root);
  const std::vector<std::string> ids = conf::module_ids(root);
  if (ids.empty()) {
    throw Error(ErrorKind::config, fmt::format("there is no module below {}/modules", root),
                "say with --platform-root where the platform's files are");
  }
  for (const std::string& id : ids) {
    try {
      facts.runbook_names[id] = conf::runbook_containers(root, id);
    } catch (const Error& error) {
      facts.runbook_names[id];
      facts.platform.problems.emplace_back(error.what());
    }
  }
  facts.config = session.settings.config;
  facts.environment = session.settings.environment;
  facts.host = run::host_name();
  facts.time = now();
  ask_engine(session, facts);
  read_backups(session, facts);
  facts.inspect = [&session](const std::string& id) { return session.engine.find(id); };
  facts.source_kind = tree::source_kind;
  // A report is worth some seconds, not the minutes that a large tree takes.
  const auto end = Clock::now() + std::chrono::seconds(10);
  facts.measure = [end, &stop = session.stop](const tree::ArchiveRules& rules) {
    const auto until = std::min(end, Clock::now() + std::chrono::seconds(2));
    const auto measured =
        tree::measure(rules, [&] { return Clock::now() < until && !stop.is_due(); });
    stop.throw_if_requested();
    return measured;
  };
  return facts;
}

}  // namespace bba::commands
