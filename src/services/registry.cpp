#include "bba/services/registry.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "bba/base/text.hpp"
#include "bba/service/mounted_archive.hpp"
#include "services/minio/client.hpp"
#include "services/postgres/server.hpp"
#include "services/redis/server.hpp"
#include "services/vault/server.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/run/target.hpp"

namespace bba::ops {

namespace {

using classes::Capture;
using classes::Consistency;
using classes::Target;

std::vector<classes::MountChoice> mounts_of(const Target& target) {
  std::vector<wire::Mount> mounts = target.container.mounts;
  // The engine does not count what --tmpfs made among the mounts.
  if (const Json* tmpfs = member(target.container.host_config, "Tmpfs")) {
    for (const auto& [destination, options] : tmpfs->items()) {
      mounts.push_back({.type = "tmpfs", .name = {}, .source = {}, .destination = destination});
    }
  }
  std::vector<classes::SourceKind> sources;
  for (const wire::Mount& mount : mounts) sources.push_back(source_kind(mount.source));
  return classes::choose_mounts(mounts, sources);
}

void require_running(const Target& target, const std::string& why) {
  const wire::Container& container = target.container;
  if (container.running && !container.paused && !container.restarting) return;
  throw Error(ErrorKind::container,
              fmt::format("container {} is {}: {}", container.name, container.state, why),
              container.paused ? "unpause it first, or take its files as they are with --class E"
                               : "start it first, or take its files as they are with --class E");
}

// The value of the first of `names` that the container's environment holds, itself or as a file
// (NAME_FILE).
std::optional<std::string> container_secret(Session& session, const Target& target,
                                            const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (auto value = wire::env_value(target.container, name); value && !value->empty())
      return value;
    const auto file = wire::env_value(target.container, name + "_FILE");
    if (!file || file->empty()) continue;
    wire::ExecConfig read;
    read.argv = {"cat", *file};
    const docker::ExecResult result =
        run_or_end(session.engine, target.container.id, read, 64 << 10);
    if (result.exit_code == 0) return std::string(trimmed(result.out));
    session.reporter.detail(fmt::format("{}_FILE: cat {}: {}", name, *file, trimmed(result.err)));
  }
  return std::nullopt;
}

Capture ask_postgres(Session& session, const Target& target) {
  require_running(target, "pg_dumpall needs a server that answers");
  const auto password =
      container_secret(session, target, classes::postgres_password_variables(target.container));
  std::string refusals;
  for (const auto& identity : classes::postgres_identities(target, password)) {
    const docker::ExecResult result =
        run_or_end(session.engine, target.container.id, classes::postgres_probe(identity));
    if (result.exit_code == 0) {
      if (const auto facts = classes::parse_postgres_probe(result.out)) {
        return classes::postgres_dump(target, identity, *facts,
                                      session.settings.config.lock_wait_timeout);
      }
    }
    // psql that cannot be started says so on stdout.
    const std::string_view words = trimmed(result.err.empty() ? result.out : result.err);
    const std::string refusal =
        fmt::format("as {}{}: exit code {}: {}", identity.role,
                    identity.exec_user.empty() ? "" : " (user " + identity.exec_user + ")",
                    result.exit_code, words.substr(0, 300));
    session.reporter.detail("psql " + refusal);
    if (refusals.empty()) refusals = refusal;
  }
  const bool about_password = refusals.find("password") != refusals.npos;
  const std::string settings = "modules." + target.module;
  throw Error(ErrorKind::capture, "psql could not ask the server anything: " + refusals,
              (about_password ? "set PGPASSWORD in your environment and " + settings +
                                    ".env to [PGPASSWORD] in the configuration, or name another "
                                    "superuser with "
                              : "if it is up, name a superuser with ") +
                  settings + ".user; -v shows every way that was tried");
}

// What every class is asked with.
struct Question {
  Session& session;
  const Target& target;
  const std::vector<wire::ContainerSummary>& all;
  std::vector<classes::MountChoice> mounts;
  Consistency wanted;

  Capture files() const { return classes::mounted_archive(target, mounts, all, wanted); }
  bool answers() const { return target.container.running && !target.container.paused; }
};

std::optional<std::string> operator_variable(const Session& session, const std::string& name) {
  const auto found = session.settings.environment.find(name);
  if (found == session.settings.environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

// For after the name of a variable that is missed: it may well have been set.
std::string lost_by_sudo(const Session& session, const std::string& name) {
  if (!operator_variable(session, "SUDO_USER")) return {};
  return fmt::format("; sudo drops it without --preserve-env={}", name);
}

std::string words_of(const docker::ExecResult& result, const wire::ExecConfig& exec) {
  const std::string_view words = trimmed(result.err.empty() ? result.out : result.err);
  return without_secrets(std::string(words), exec.env).substr(0, 300);
}

bool not_started(const docker::ExecResult& result) {
  return result.exit_code == 126 || result.exit_code == 127;
}

Capture ask_redis(const Question& question) {
  Session& session = question.session;
  const Target& target = question.target;
  const auto as_files = [&](const std::string& reason) {
    return classes::redis_files(target, question.mounts, question.all, question.wanted, reason);
  };
  if (!question.answers()) {
    return as_files("no BGSAVE, as the container is " + target.container.state);
  }
  Target asked = target;
  for (const std::string& name : classes::redis_password_variables()) {
    if (const auto password = operator_variable(session, name)) {
      asked.operator_env.push_back({name, *password});
    }
  }
  const auto password = container_secret(session, target, classes::redis_password_variables());
  std::string refusal;
  std::string not_let_in;
  bool answered = false;
  for (const wire::ExecConfig& client : classes::redis_clients(asked, password)) {
    const auto ask = [&](const std::vector<std::string>& command) {
      return run_or_end(session.engine, target.container.id,
                        classes::redis_command(client, command));
    };
    const docker::ExecResult answer = ask({"INFO"});
    const auto info = classes::parse_redis_info(answer.out);
    if (answer.exit_code != 0 || !info) {
      if (not_let_in.empty() &&
          (classes::refuses_credentials(answer.out) || classes::refuses_credentials(answer.err))) {
        not_let_in = fmt::format("{}: {}", client.argv.front(), words_of(answer, client));
      }
      // The first client that was there tells most; one that is not in the image tells nothing.
      if (!answered) {
        answered = !not_started(answer);
        if (answered || refusal.empty()) {
          refusal = fmt::format("{}: {}", client.argv.front(), words_of(answer, client));
        }
      }
      session.reporter.detail(fmt::format("{} INFO: exit code {}: {}", client.argv.front(),
                                          answer.exit_code, words_of(answer, client)));
      continue;
    }
    classes::RedisFacts facts;
    facts.info = *info;
    const docker::ExecResult directory = ask({"CONFIG", "GET", "dir"});
    facts.dir = classes::parse_config_value(directory.out, "dir");
    // Where it works, a password that is too much is complained of on stderr, too.
    facts.config_refusal = trimmed(directory.out.empty() ? directory.err : directory.out);
    facts.dbfilename =
        classes::parse_config_value(ask({"CONFIG", "GET", "dbfilename"}).out, "dbfilename");
    return classes::redis_dump(target, client, facts, question.mounts, question.all,
                               question.wanted);
  }
  // What is in its memory alone would be in no archive of its files.
  if (!not_let_in.empty()) {
    throw Error(ErrorKind::capture,
                "the server lets nobody in with what is known here: " + not_let_in,
                "set REDISCLI_AUTH in your environment" + lost_by_sudo(session, "REDISCLI_AUTH") +
                    "; for an ACL user, set modules." + target.module +
                    ".user in the configuration. `--class E` takes the files as they are");
  }
  return as_files(fmt::format("no BGSAVE, as the server does not answer ({})", refusal));
}

// The files in place of the class's own procedure. Where there are none either, both are said.
Capture files_instead(const Question& question, const std::string& reason) {
  try {
    return classes::as_fallback(question.files(), reason);
  } catch (Error& error) {
    error.in(reason);
    throw;
  }
}

Capture ask_vault(const Question& question) {
  Session& session = question.session;
  const Target& target = question.target;
  if (!question.answers()) {
    return files_instead(question, "no snapshot, as the container is " + target.container.state);
  }
  std::string refusal;
  std::string asked_by;  // the program whose refusal that is
  bool any_started = false;
  for (const wire::ExecConfig& probe :
       classes::vault_probes(target, session.settings.environment)) {
    const docker::ExecResult answer = run_or_end(session.engine, target.container.id, probe);
    const auto status = classes::parse_vault_status(answer.out);
    if (!status) {
      const bool started = !not_started(answer);
      if (refusal.empty() || (started && !any_started)) {
        asked_by = probe.argv.front();
        refusal = fmt::format("{} status: {}", asked_by, words_of(answer, probe));
      }
      any_started = any_started || started;
      continue;
    }
    auto reason = classes::no_snapshot_because(*status);
    if (!reason && !classes::has_token(target, probe)) {
      reason = "VAULT_TOKEN is not set in your environment" + lost_by_sudo(session, "VAULT_TOKEN");
    }
    if (reason) return files_instead(question, "no snapshot, as " + *reason);
    Capture capture = classes::vault_snapshot(target, probe, *status);
    // An old server does not say what its storage is until it is asked for a snapshot.
    if (status->storage_type.empty() && !classes::archive_parts(target, question.mounts).empty()) {
      capture.if_refused = std::make_shared<const Capture>(question.files());
    }
    return capture;
  }
  if (!any_started) {
    throw Error(ErrorKind::capture,
                "neither vault nor bao could be started in the container: " + refusal,
                "is it a Vault? `--class E` takes its files as they are");
  }
  throw Error(ErrorKind::capture, "the server does not answer: " + refusal,
              "is it up? To name another address, " +
                  classes::address_hint(target.module, asked_by) +
                  ". `--class E` takes its files as they are");
}

// The buckets that a MinIO server keeps in `directory`. nullopt where this host cannot read it, or
// where it is no such server's.
std::optional<std::set<std::string>> buckets_in(const std::filesystem::path& directory) {
  std::error_code failed;
  if (!std::filesystem::is_directory(directory / ".minio.sys", failed)) return std::nullopt;
  std::set<std::string> buckets;
  std::filesystem::directory_iterator next(directory, failed);
  while (!failed && next != std::filesystem::directory_iterator()) {
    const std::string name = next->path().filename().string();
    std::error_code gone;
    if (classes::valid_bucket(name) && next->is_directory(gone)) buckets.insert(name);
    next.increment(failed);
  }
  if (failed) return std::nullopt;
  return buckets;
}

// Of all data mounts: each of a server's drives has all of its buckets.
std::optional<std::set<std::string>> buckets_in_mounts(const Question& question) {
  std::optional<std::set<std::string>> all;
  for (const classes::MountChoice& choice : question.mounts) {
    if (!choice.taken || choice.mount.source.empty()) continue;
    if (const auto buckets = buckets_in(choice.mount.source)) {
      if (!all) all.emplace();
      all->insert(buckets->begin(), buckets->end());
    }
  }
  return all;
}

// Those that were there before and after a listing: what is made or deleted meanwhile is not
// missed.
std::optional<std::set<std::string>> in_both(const std::optional<std::set<std::string>>& before,
                                             const std::optional<std::set<std::string>>& after) {
  if (!before || !after) return std::nullopt;
  std::set<std::string> both;
  std::set_intersection(before->begin(), before->end(), after->begin(), after->end(),
                        std::inserter(both, both.end()));
  return both;
}

Capture ask_minio(const Question& question) {
  Session& session = question.session;
  const Target& target = question.target;
  const auto alias = operator_variable(session, "MINIO_MC_ALIAS");
  if (!alias) {
    return files_instead(question,
                         "no objects through mc, as MINIO_MC_ALIAS is not set in your environment" +
                             lost_by_sudo(session, "MINIO_MC_ALIAS"));
  }
  if (!classes::valid_alias(*alias)) {
    throw Error(ErrorKind::config, fmt::format("MINIO_MC_ALIAS '{}' is no alias", *alias),
                "an alias is a letter, then letters, digits, '-' and '_'");
  }
  if (!question.answers()) {
    return files_instead(question,
                         "no objects through mc, as the container is " + target.container.state);
  }
  const auto user = container_secret(session, target, {"MINIO_ROOT_USER", "MINIO_ACCESS_KEY"});
  const auto password =
      container_secret(session, target, {"MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY"});
  const wire::ExecConfig mc =
      classes::minio_client(target, *alias, session.settings.environment, user, password);
  const auto ask = [&](std::initializer_list<std::string> arguments) {
    wire::ExecConfig exec = mc;
    exec.argv.insert(exec.argv.end(), arguments);
    return run_or_end(session.engine, target.container.id, exec);
  };
  const docker::ExecResult known = ask({"alias", "list", "--json", *alias});
  if (not_started(known)) {
    return files_instead(
        question, "no objects through mc, as mc could not be started: " + words_of(known, mc));
  }
  if (const auto why = classes::alias_unknown_because(known.out, *alias)) {
    const std::string variable = "MC_HOST_" + *alias;
    throw Error(ErrorKind::capture,
                fmt::format("mc does not know the alias {} of MINIO_MC_ALIAS: {}", *alias,
                            without_secrets(*why, mc.env).substr(0, 300)),
                fmt::format("set {}=http://KEY:SECRET@127.0.0.1:9000 in your environment{}; "
                            "without MINIO_MC_ALIAS the files are archived instead",
                            variable, lost_by_sudo(session, variable)));
  }
  const auto before = buckets_in_mounts(question);
  const docker::ExecResult answer = ask({"ls", "--json", *alias});
  std::set<std::string> shown;
  try {
    classes::ObjectListing listing(classes::ObjectListing::End::anywhere,
                                   [&](const classes::ObjectEntry& entry) {
                                     shown.insert(entry.key.substr(0, entry.key.find('/')));
                                   });
    listing.add(without_secrets(answer.out, mc.env));
    listing.end();
    if (answer.exit_code != 0) throw Error(ErrorKind::capture, words_of(answer, mc));
  } catch (Error& error) {
    error.in(fmt::format("mc ls {} failed", *alias));
    error.with_hint("check MINIO_MC_ALIAS and MC_HOST_" + *alias +
                    "; without MINIO_MC_ALIAS the files are archived instead");
    throw;
  }
  classes::ServerBuckets server;
  server.directories = in_both(before, buckets_in_mounts(question));
  if (!server.directories) {
    server.count = classes::bucket_count(ask({"admin", "info", "--json", *alias}).out);
  }
  Capture capture = classes::minio_objects(target, mc, *alias);
  classes::note_hidden_buckets(capture, *alias, shown, server);
  return capture;
}

Capture ask_compose_project(const Question& question) {
  Target target = question.target;
  target.settings.compose_root = resolved(classes::compose_root(target));
  Capture capture =
      classes::compose_project(target, question.mounts, question.all, question.wanted);
  // A file that is mounted somewhere is configuration, whether or not it may be written there.
  std::vector<wire::ContainerSummary> neighbours = question.all;
  for (wire::ContainerSummary& one : neighbours) {
    std::erase_if(one.mounts, [](const wire::Mount& mount) {
      return source_kind(mount.source) != classes::SourceKind::directory;
    });
  }
  classes::leave_out_neighbours(capture, neighbours);
  for (const classes::Part& part : capture.parts) {
    const auto* project = std::get_if<classes::HostDirectory>(&part.what);
    if (project == nullptr || source_kind(project->path) == classes::SourceKind::directory)
      continue;
    throw Error(ErrorKind::config,
                fmt::format("the compose project of {} is said to be in {}, which is no directory "
                            "of this host",
                            target.module, project->path),
                "set modules." + target.module + ".compose_root in the configuration");
  }
  return capture;
}

}  // namespace

Capture ask_service(Session& session, const Target& asked,
                    const std::vector<wire::ContainerSummary>& all, Consistency wanted) {
  std::vector<classes::MountChoice> mounts = mounts_of(asked);
  Target target = asked;
  if (!target.settings.paths.empty()) {
    classes::narrow_to_paths(target.settings.paths, mounts, "paths are archived instead");
  }
  const Question question{session, target, all, std::move(mounts), wanted};
  switch (target.module_class) {
    case 'A':
      return ask_postgres(session, target);
    case 'B':
      return ask_redis(question);
    case 'C':
      return ask_vault(question);
    case 'D':
      return ask_minio(question);
    case 'G':
      return ask_compose_project(question);
    default:
      return question.files();
  }
}

}  // namespace bba::ops
