#include "redis.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/asking.hpp"
#include "bba/services/files.hpp"
#include "compare_keyspace.hpp"
#include "directory_check.hpp"
#include "load_rdb.hpp"
#include "save.hpp"
#include "server.hpp"

namespace bba::services::redis {

namespace {

using service::Capture;
using service::PartContext;
using service::PlanInputs;

// ---- the artifact

class DirectoryKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "rdb-directory"; }
  std::string_view suffix() const override { return "tar"; }
  // The directory of a server that has never saved holds no RDB: it is a plain archive.
  std::string_view recorded_name(const Json& found) const override {
    return member(found, "rdb_file") == nullptr ? files::tar_kind().name() : name();
  }

  std::vector<std::string> required_found() const override {
    std::vector<std::string> keys = files::counted_keys();
    keys.insert(keys.end(), {"rdb_file", "rdb_version"});
    return keys;
  }
  std::vector<std::string> foreign_found() const override { return {"objects"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json& found) const override {
    return std::make_unique<DirectoryContent>(found);
  }
  std::unique_ptr<tree::FileCheck> file_check(const service::PathArchive& archive) const override {
    return std::make_unique<DirectoryFiles>(archive);
  }

  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord& record) const override {
    service::FreshTarget fresh = files::fresh_volume_for(record);
    fresh.data_volumes = true;
    fresh.without = {record.source};
    fresh.lend_configuration = true;
    return fresh;
  }
  service::Restore restore(const store::Manifest& manifest,
                           const store::ArtifactRecord& record) const override {
    service::Restore restore = files::restore_archive(record);
    if (service::StepPtr step = load_rdb(manifest, record)) {
      restore.steps.push_back(std::move(step));
    }
    return restore;
  }
  void compare(service::RestoreTarget& target) const override { compare_keyspace(target); }
  std::optional<std::string> exchanged_mount(const wire::Container& live,
                                             const store::ArtifactRecord& record) const override {
    return files::exchanged_mount(live, record);
  }
  bool carries_over(const service::ExchangePlace& place, const std::string& path) const override {
    return files::leaves_out(place.record, path);
  }
  void require_exchangeable(const service::ExchangePlace&,
                            service::RestoreTarget* live) const override {
    if (live != nullptr) require_master(*live);
  }
  std::optional<bool> serves(service::RestoreTarget& target) const override {
    return has_keyspace(target);
  }
};

// ---- what is done around reading the parts

// Finds the artifact with the RDB that the server has saved, and notes the keys that it must hold.
void note_keys(const Asking& asking, const Capture& capture, const Saved& saved,
               std::vector<store::ArtifactRecord>& artifacts) {
  for (store::ArtifactRecord& artifact : artifacts) {
    const auto written = string_member(artifact.found, "rdb_written");
    if (!written) continue;
    artifact.found["keyspace"] =
        keyspace_of(asking, saved, parse_rfc3339(*written).value_or(Timestamp()));
    return;
  }
  throw Error(ErrorKind::capture, "the server has saved, but its RDB is not in what was archived",
              fmt::format("set modules.{}.paths to the server's directory in the configuration, or "
                          "take its files as they are with --class E",
                          capture.target.module));
}

// Without an RDB or an append-only file the directory holds none of the server's data, whatever
// other files it has.
void require_data(const Capture& capture, const std::vector<store::ArtifactRecord>& artifacts) {
  for (const store::ArtifactRecord& artifact : artifacts) {
    const Json* aof = member(artifact.found, "aof_files");
    if (member(artifact.found, "rdb_file") != nullptr || (aof != nullptr && *aof != 0)) return;
  }
  Error error(ErrorKind::capture,
              "the directory holds neither an RDB nor an append-only file: the server's data "
              "is in its memory only",
              "where its directory is another, name it with --path; `--class E` takes the files as "
              "they are");
  if (capture.fallback) error.in(*capture.fallback);
  throw error;
}

Asking asking_of(const PartContext& context) {
  return {context.engine, context.reporter, context.stop, context.capture.target.container.id,
          *context.capture.procedure};
}

// ---- the service

std::string words_of(const docker::ExecResult& result, const wire::ExecConfig& client) {
  return docker::failure_output(result, client.env);
}

class Redis : public service::Service {
 public:
  char letter() const override { return 'B'; }
  std::string_view title() const override {
    return "Redis, Valkey: BGSAVE, then the data directory";
  }
  conf::ClassRule default_rule() const override {
    return {letter(),
            {"redis", "honcho-redis", "infisical-redis", "*redis"},
            {"redis", "*/redis", "*/valkey", "redis/redis-stack*"}};
  }

  Capture plan(const PlanInputs& inputs) const override {
    const service::Target& target = inputs.target;
    const auto as_files = [&](const std::string& reason) {
      return files_capture(target, inputs.mounts, inputs.all, inputs.wanted, reason);
    };
    if (!inputs.answers()) {
      return as_files("no BGSAVE, as the container is " + target.container.state);
    }
    service::Target asked = target;
    for (const std::string& name : password_variables()) {
      if (const auto password = inputs.operator_variable(name)) {
        asked.operator_env.push_back({name, *password});
      }
    }
    const auto password = service::container_secret(inputs, password_variables());
    std::string refusal;
    std::string not_let_in;
    bool answered = false;
    for (const wire::ExecConfig& client : clients(asked, password)) {
      const auto ask = [&](const std::vector<std::string>& arguments) {
        return docker::run_or_end(inputs.engine, target.container.id, command(client, arguments));
      };
      const docker::ExecResult answer = ask({"INFO"});
      const auto info = parse_info(answer.out);
      if (answer.exit_code != 0 || !info) {
        if (not_let_in.empty() &&
            (refuses_credentials(answer.out) || refuses_credentials(answer.err))) {
          not_let_in = fmt::format("{}: {}", client.argv.front(), words_of(answer, client));
        }
        // The answer of the first client that is in the image says most.
        if (!answered) {
          answered = !docker::not_started(answer);
          if (answered || refusal.empty()) {
            refusal = fmt::format("{}: {}", client.argv.front(), words_of(answer, client));
          }
        }
        inputs.reporter.detail(fmt::format("{} INFO: exit code {}: {}", client.argv.front(),
                                           answer.exit_code, words_of(answer, client)));
        continue;
      }
      Facts facts;
      facts.info = *info;
      const docker::ExecResult directory = ask({"CONFIG", "GET", "dir"});
      facts.dir = parse_config_value(directory.out, "dir");
      // Even where it works, a warning about an unneeded password may be on stderr.
      facts.config_refusal = trimmed(directory.out.empty() ? directory.err : directory.out);
      facts.dbfilename = parse_config_value(ask({"CONFIG", "GET", "dbfilename"}).out, "dbfilename");
      return save_capture(target, client, facts, inputs.mounts, inputs.all, inputs.wanted);
    }
    // What is only in its memory would be in no archive of its files.
    if (!not_let_in.empty()) {
      throw Error(ErrorKind::capture,
                  "the server refuses all credentials that are known here: " + not_let_in,
                  "set REDISCLI_AUTH in your environment" +
                      service::dropped_by_sudo(inputs, "REDISCLI_AUTH") +
                      "; for an ACL user, set modules." + target.module +
                      ".user in the configuration. `--class E` takes the files as they are");
    }
    return as_files(fmt::format("no BGSAVE, as the server does not answer ({})", refusal));
  }

  Json before_parts(const PartContext& context) const override {
    if (!context.capture.procedure) return Json::object();
    return with_context("BGSAVE", [&] { return saved_json(save(asking_of(context))); });
  }
  void after_parts(const PartContext& context, const Json& before,
                   std::vector<store::ArtifactRecord>& artifacts) const override {
    if (!context.capture.procedure) {
      require_data(context.capture, artifacts);
      return;
    }
    note_keys(asking_of(context), context.capture, parse_saved(before), artifacts);
  }
  std::vector<std::string> requests_before(const Capture& capture) const override {
    if (!capture.procedure) return {};
    const wire::ExecConfig& client = *capture.procedure;
    return {service::exec_request(capture, client, {"INFO"}),
            service::exec_request(capture, client, {"BGSAVE"}) +
                " (BGSAVE SCHEDULE where the append-only file is being rewritten)",
            service::exec_request(capture, client, {"INFO"}) +
                " (until it says that the save is done)"};
  }
  std::vector<std::string> requests_after(const Capture& capture) const override {
    if (!capture.procedure) return {};
    return {service::exec_request(capture, *capture.procedure, {"INFO"}) +
            " (where what was read may be newer than the save)"};
  }

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    return service::stopped_server(inputs, service::Ready::partly);
  }
};

}  // namespace

const service::Service& redis() {
  static const Redis service;
  return service;
}

const service::ArtifactKind& directory_kind() {
  static const DirectoryKind kind;
  return kind;
}

}  // namespace bba::services::redis
