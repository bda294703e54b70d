#include "bba/commands/plan.hpp"

#include <algorithm>

#include "bba/base/module_id.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "bba/run/host_name.hpp"
#include "bba/run/restore_record.hpp"
#include "bba/run/target.hpp"
#include "bba/service/mounts.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/tree/archive_rules.hpp"
#include "bba/tree/host_path.hpp"

namespace bba::commands {

namespace {

void collect(const run::Session& session, const std::string& id, std::vector<std::string>& path,
             std::vector<std::string>& found) {
  require_module_id(id);
  if (std::find(path.begin(), path.end(), id) != path.end()) {
    throw Error(ErrorKind::config,
                fmt::format("backup_ref_modules form a cycle: {} -> {}", join(path, " -> "), id));
  }
  path.push_back(id);
  const auto module = conf::load_module(session.settings.platform_root, id);
  if (module && module->statefulness == conf::Statefulness::stateless) {
    throw Error(
        ErrorKind::config, fmt::format("module {} is stateless: there is nothing to back up", id),
        "where that is wrong, correct spec.runtime.statefulness in its module.yaml, or choose a "
        "class with --class");
  }
  if (module && module->statefulness == conf::Statefulness::sidecar_bound) {
    if (module->backup_ref_modules.empty()) {
      throw Error(ErrorKind::config,
                  fmt::format("module {} is sidecar-bound and names no module to back up", id),
                  "set spec.release.backup_ref_modules in its module.yaml");
    }
    for (const std::string& other : module->backup_ref_modules) {
      collect(session, other, path, found);
    }
  } else if (std::find(found.begin(), found.end(), id) == found.end()) {
    found.push_back(id);
  }
  path.pop_back();
}

run::LookupClues clues_of(const run::Session& session, const BackupRequest& request) {
  run::LookupClues clues;
  if (!request.container) {
    return run::clues_of(session.settings.config, session.settings.platform_root, request.module);
  }
  clues.module = request.module;
  clues.option = request.container;
  return clues;
}

// A warning where the platform's files name another host than the one that the engine is on.
std::optional<std::string> host_warning(run::Session& session, const std::string& module) {
  std::string said;
  try {
    const auto known = conf::load_module(session.settings.platform_root, module);
    if (known) said = known->host;
  } catch (const Error& error) {
    // Only with --class does a file that cannot be read come this far.
    return error.what();
  }
  if (said.empty()) return std::nullopt;
  std::string here = session.engine.info().name;
  if (here.empty()) here = run::host_name();
  if (run::same_host(said, here)) return std::nullopt;
  return fmt::format("module.yaml says that {} lives on {}, and this is {}", module, said, here);
}

// What restores have parked beside a bind mount lies inside of a mount of whoever mounts the
// directory above: as paths of the container, to be left out.
std::vector<std::string> parked_in(const run::Session& session,
                                   const std::vector<wire::Mount>& mounts) {
  std::vector<run::ParkedState> states;
  try {
    states = run::parked_states(session.settings.state_dir, "");
  } catch (const Error&) {
    // Not for everybody to read, or damaged; then it is in the archive, which is no loss.
  }
  std::vector<std::string> paths;
  for (const run::ParkedState& state : states) {
    for (const run::BuiltPlace& place : state.places) {
      if (!place.volume.empty()) continue;
      for (const wire::Mount& mount : mounts) {
        if (mount.source.empty() || !lies_within(place.directory, mount.source)) continue;
        paths.push_back(mount.destination + place.directory.substr(mount.source.size()));
      }
    }
  }
  return paths;
}

// `warnings` gets what the operator should know of the platform's files.
service::Target find_target(run::Session& session, const BackupRequest& request,
                            const std::vector<wire::ContainerSummary>& all,
                            std::vector<std::string>& warnings) {
  service::Target target;
  target.module = request.module;
  target.settings = run::module_settings(session.settings.config, request.module);
  if (!request.paths.empty()) target.settings.paths = request.paths;
  target.operator_env = run::lent_variables(target.settings, session.settings.environment);

  const run::LookupClues clues = clues_of(session, request);
  run::FoundContainer found;
  try {
    found = run::find_container(clues, all);
  } catch (Error& error) {
    if (!clues.unread.empty() || !run::passed_over(clues, all).empty()) throw;
    const std::vector<std::string> ids = conf::module_ids(session.settings.platform_root);
    if (!ids.empty() && std::find(ids.begin(), ids.end(), request.module) == ids.end()) {
      const std::vector<std::string> close = nearest(request.module, ids, 5);
      if (!close.empty())
        error.with_hint("no such module; did you mean " + join(close, ", ") + "?");
    }
    throw;
  }
  for (const std::string& file : clues.unread) {
    warnings.push_back("not read when the container was looked for: " + file);
  }
  if (auto warning = host_warning(session, request.module)) warnings.push_back(std::move(*warning));
  target.found_by = found.step;
  target.container = session.engine.inspect(found.container.id);
  service::resolve_sources(target.container.mounts);
  for (std::string& path : parked_in(session, target.container.mounts)) {
    target.settings.excludes.push_back(std::move(path));
  }

  if (request.module_class) {
    target.module_class = *request.module_class;
    target.rule = "asked for with --class";
  } else {
    const conf::ClassChoice choice =
        services::class_of(session.settings.config, request.module, target.container.config_image);
    target.module_class = choice.module_class;
    target.rule = choice.why;
  }
  return target;
}

// Leaves a directory of this program out of the archives: it is written to meanwhile, and each set
// would hold all the earlier ones.
void leave_out_own(service::Capture& capture, const std::string& own, std::string_view what) {
  const std::string directory = tree::resolved(own);
  for (service::Part& part : capture.parts) {
    std::string left_out;
    if (auto* archive = std::get_if<service::PathArchive>(&part.what)) {
      const std::string& host = archive->host_path;
      if (host.empty() || !lies_within(directory, host)) continue;
      tree::ArchiveRules rules;
      rules.path = archive->path;
      rules.nested = archive->nested;
      std::string below = directory == host ? "*" : directory.substr(host.size());
      if (below.starts_with('/')) below.erase(0, 1);
      if (rules.excluded(below)) continue;  // in a mount inside of this one
      left_out = rules.in_container(below);
      archive->excludes.push_back(left_out);
    } else if (auto* project = std::get_if<service::HostDirectory>(&part.what)) {
      if (directory == project->path || !lies_within(directory, project->path)) continue;
      left_out = directory;
      project->excludes.push_back(left_out);
    } else {
      continue;
    }
    capture.warnings.push_back(fmt::format("{} is left out of the archive of {}: it is {}",
                                           left_out, part.source(), what));
  }
}

void measure_parts(service::Capture& capture, const Stop& stop) {
  for (service::Part& part : capture.parts) {
    if (const auto* archive = std::get_if<service::PathArchive>(&part.what)) {
      if (archive->host_path.empty()) continue;
      tree::ArchiveRules rules;
      rules.path = archive->path;
      rules.host_path = archive->host_path;
      rules.excludes = archive->excludes;
      rules.nested = archive->nested;
      part.expected_bytes = tree::measure(rules, stop);
    }
  }
}

service::Consistency wanted_consistency(const run::Session& session, const BackupRequest& request,
                                        const service::Target& target) {
  const std::string text = request.consistency.value_or(
      target.settings.consistency.value_or(session.settings.config.consistency));
  const auto consistency = service::consistency_by_name(text);
  if (!consistency) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not a consistency mode", text),
                "use auto, pause, stop or live");
  }
  return *consistency;
}

// The paths that the operator or the configuration names take the place of the mounts.
service::Capture plan_service(run::Session& session, const service::Target& asked,
                              const std::vector<wire::ContainerSummary>& all,
                              service::Consistency wanted) {
  service::Target target = asked;
  std::vector<service::MountChoice> mounts = service::mounts_of(target.container);
  if (!target.settings.paths.empty()) {
    service::narrow_to_paths(target.settings.paths, mounts, "paths are archived instead");
  }
  return services::plan({session.engine, session.reporter, session.settings.config,
                         session.settings.environment, target, all, std::move(mounts), wanted});
}

}  // namespace

std::vector<std::string> modules_to_back_up(const run::Session& session,
                                            const BackupRequest& request) {
  require_module_id(request.module);
  if (request.module_class)
    return {request.module};  // a class that is asked for overrides what the module is
  std::vector<std::string> path;
  std::vector<std::string> found;
  collect(session, request.module, path, found);
  // One container's data would be stored under the names of them all.
  if (found.size() > 1 && (request.container || !request.paths.empty())) {
    throw Error(ErrorKind::usage,
                fmt::format("{} applies to one container, and {} is backed up with {}",
                            request.container ? "--container" : "--path", request.module,
                            join(found, ", ")),
                "back them up one by one, or set modules.<id>.container in the configuration");
  }
  return found;
}

service::Capture make_capture(run::Session& session, const BackupRequest& request) {
  require_module_id(request.module);
  std::vector<wire::ContainerSummary> all = session.engine.list();
  for (wire::ContainerSummary& one : all) service::resolve_sources(one.mounts);
  std::vector<std::string> warnings;
  const service::Target target = find_target(session, request, all, warnings);
  const service::Consistency wanted = wanted_consistency(session, request, target);
  service::Capture capture = plan_service(session, target, all, wanted);
  const auto complete = [&](service::Capture& one) {
    one.warnings.insert(one.warnings.begin(), warnings.begin(), warnings.end());
    leave_out_own(one, session.settings.backup_dir, "the backup directory");
    leave_out_own(one, session.settings.state_dir, "the directory of locks and journals");
  };
  complete(capture);
  if (capture.if_refused) {
    service::Capture otherwise = *capture.if_refused;
    complete(otherwise);
    capture.if_refused = std::make_shared<const service::Capture>(std::move(otherwise));
  }
  measure_parts(capture, session.stop);
  return capture;
}

std::optional<std::uint64_t> expected_bytes(const service::Capture& capture) {
  std::uint64_t sum = 0;
  for (const service::Part& part : capture.parts) {
    if (!part.expected_bytes) return std::nullopt;
    sum += *part.expected_bytes;
  }
  return sum;
}

std::string plan_text(const service::Capture& capture, const run::Session& session) {
  const wire::Container& container = capture.target.container;
  std::string text;
  const auto line = [&](std::string_view key, std::string_view value) {
    text += fmt::format("{:<12} {}\n", key, value);
  };
  line("module", capture.target.module);
  line("class", fmt::format("{}: {}", capture.target.module_class, capture.target.rule));
  line("container", fmt::format("{} ({}), found by {}", container.name, container.state,
                                capture.target.found_by));
  line("image", container.config_image);
  line("strategy", capture.strategy);
  if (capture.fallback) line("fallback", *capture.fallback);
  line("consistency", fmt::format("{}: {}", name(capture.consistency), capture.consistency_reason));
  for (const service::Quiesced& one : capture.quiesce) {
    line("", fmt::format("{} is {} meanwhile", one.name,
                         capture.consistency == service::Consistency::stop ? "stopped" : "paused"));
  }
  for (const service::MountChoice& choice : capture.mounts) {
    line(choice.taken ? "take" : "leave out",
         fmt::format("{} ({} {}): {}", choice.mount.destination, choice.mount.type,
                     choice.mount.name.empty() ? choice.mount.source : choice.mount.name,
                     choice.why));
  }
  for (const service::Part& part : capture.parts) {
    line("artifact",
         fmt::format("{}{}: {}{}", part.kind->name(), part.name.empty() ? "" : " " + part.name,
                     part.source(),
                     part.expected_bytes ? ", about " + format_bytes(*part.expected_bytes)
                                         : std::string()));
  }
  if (const Json* databases = member(capture.facts, "databases")) {
    for (const Json& one : *databases) {
      line("database", fmt::format("{} ({})", string_member(one, "name").value_or(""),
                                   format_bytes(size_member(one, "bytes").value_or(0))));
    }
  }
  try {
    const auto directory = store::OwnedDirectory::open_existing(session.settings.backup_dir);
    line("goes to",
         fmt::format("{} ({} free)", directory.path(), format_bytes(directory.free_bytes())));
  } catch (const Error&) {
    line("goes to", session.settings.backup_dir + " (not there yet)");
  }
  for (const std::string& request : service::requests(capture)) line("request", request);
  if (capture.if_refused) {
    for (const std::string& request : service::requests(*capture.if_refused)) {
      line("if refused", request);
    }
  }
  for (const std::string& missing : capture.incomplete) line("incomplete", missing);
  for (const std::string& warning : capture.warnings) line("warning", warning);
  for (const std::string& follow_up : capture.follow_ups) line("follow-up", follow_up);
  return text;
}

Json plan_json(const service::Capture& capture, const run::Session& session) {
  const wire::Container& container = capture.target.container;
  Json json = {{"module", capture.target.module},
               {"class", std::string(1, capture.target.module_class)},
               {"rule", capture.target.rule},
               {"container",
                {{"id", container.id},
                 {"name", container.name},
                 {"state", container.state},
                 {"image", container.config_image},
                 {"found_by", capture.target.found_by}}},
               {"strategy", capture.strategy},
               {"fallback", capture.fallback ? Json(*capture.fallback) : Json()},
               {"consistency", name(capture.consistency)},
               {"consistency_reason", capture.consistency_reason}};
  Json& quiesce = json["quiesce"] = Json::array();
  for (const auto& one : capture.quiesce) quiesce.push_back({{"id", one.id}, {"name", one.name}});
  Json& mounts = json["mounts"] = Json::array();
  for (const auto& choice : capture.mounts) {
    mounts.push_back({{"type", choice.mount.type},
                      {"name", choice.mount.name},
                      {"source", choice.mount.source},
                      {"destination", choice.mount.destination},
                      {"taken", choice.taken},
                      {"why", choice.why}});
  }
  Json& artifacts = json["artifacts"] = Json::array();
  for (const auto& part : capture.parts) {
    artifacts.push_back(
        {{"part", part.name},
         {"kind", part.kind->name()},
         {"source", part.source()},
         {"expected_bytes", part.expected_bytes ? Json(*part.expected_bytes) : Json()}});
  }
  json["facts"] = capture.facts;
  json["backup_dir"] = session.settings.backup_dir;
  json["requests"] = service::requests(capture);
  if (capture.if_refused) json["requests_if_refused"] = service::requests(*capture.if_refused);
  json["incomplete"] = capture.incomplete;
  json["warnings"] = capture.warnings;
  json["follow_ups"] = capture.follow_ups;
  return json;
}

}  // namespace bba::commands
