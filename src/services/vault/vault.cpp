#include "vault.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/asking.hpp"
#include "bba/service/restore_steps.hpp"
#include "bba/services/files.hpp"
#include "install_snapshot.hpp"
#include "server.hpp"
#include "snapshot_check.hpp"

namespace bba::services::vault {

namespace {

using service::Capture;
using service::PlanInputs;

// --- what a snapshot holds

class SnapshotContent : public service::ContentCheck {
 public:
  pipe::Stage& stage() override { return check_; }
  Json found() const override {
    return {
        {"index", check_.index()}, {"term", check_.term()}, {"state_bytes", check_.state_bytes()}};
  }
  std::string summary() const override {
    return fmt::format("index {}, term {}, {} of state", check_.index(), check_.term(),
                       format_bytes(check_.state_bytes()));
  }

 private:
  SnapshotCheck check_;
};

// --- restore

// A snapshot goes back into the cluster that it is of. Into another one only where the
// operator says so: from then on the old cluster's unseal keys and tokens count there.
class RestoreSnapshot : public service::RestoreStep {
 public:
  RestoreSnapshot(std::string program, std::vector<wire::EnvVar> env, std::string cluster)
      : program_(std::move(program)), env_(std::move(env)), cluster_(std::move(cluster)) {}

  void print(service::ShellScript& script, const store::ArtifactRecord& record,
             std::size_t) const override {
    const wire::ExecConfig status{.argv = {program_, "status", "-format=json"}, .env = env_};
    script.conditions.push_back("status=$(" + service::docker_exec(status, false) +
                                ") || { echo \"$TARGET is not a server that runs, is initialized "
                                "and unsealed\" >&2; exit 1; }");
    script.conditions.emplace_back("force=''");
    if (!cluster_.empty()) {
      script.conditions.push_back(fmt::format(
          "case $(printf %s \"$status\" | tr -d '[:space:]') in *'\"cluster_id\":\"{0}\"'*) ;; *) [ "
          "\"${{NEW_CLUSTER-}}\" = yes ] || {{ echo \"$TARGET is another cluster than the one that "
          "was backed up ({0}). With NEW_CLUSTER=yes it is restored anyway, and then the "
          "unseal keys and tokens of the old cluster count.\" >&2; exit 1; }}; force=-force ;; esac",
          cluster_));
    } else {
      script.conditions.emplace_back("[ \"${NEW_CLUSTER-}\" != yes ] || force=-force");
    }
    const wire::ExecConfig restore{.argv = {program_, "operator", "raft", "snapshot", "restore"},
                                   .env = env_};
    script.lines.push_back(service::unpack(record.file) + " | " +
                           service::docker_exec(restore, true) + " $force /dev/stdin");
  }
  // The kind needs no target: see SnapshotKind.
  void carry_out(service::RestoreTarget&) const override {}

 private:
  std::string program_;
  std::vector<wire::EnvVar> env_;
  std::string cluster_;
};

class SnapshotKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "raft-snapshot"; }
  std::string_view suffix() const override { return "snap"; }
  bool compressible() const override { return false; }
  std::vector<std::string> required_found() const override {
    return {"index", "term", "state_bytes"};
  }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<SnapshotContent>();
  }

  // A snapshot is sealed. What can be proven without the unseal keys was proven when verify read it
  // just before.
  bool needs_target() const override { return false; }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord&) const override {
    return {};
  }

  service::Restore restore(const store::Manifest& manifest,
                           const store::ArtifactRecord& record) const override {
    // "vault operator raft ...": the program that saved it.
    const std::string program = record.source.substr(0, record.source.find(' '));
    std::vector<wire::EnvVar> env = service::recorded_environment(manifest.facts, "environment");
    // bao reads it as well as its own.
    const std::string token = "VAULT_TOKEN";
    std::erase_if(env, [](const auto& one) { return one.name.ends_with("_TOKEN"); });
    env.insert(env.begin(), {token, ""});
    service::Restore restore;
    restore.steps.push_back(service::require_variable(
        token, "a token of the target that may write sys/storage/raft/snapshot"));
    restore.steps.push_back(std::make_shared<RestoreSnapshot>(
        program, std::move(env), string_member(manifest.facts, "cluster_id").value_or("")));
    return restore;
  }

  bool goes_in_place() const override { return true; }
  std::unique_ptr<service::InPlace> in_place(
      service::RestoreTarget& live, const Capture& present,
      const service::InPlaceOptions& options) const override {
    return install_snapshot(live, present, options);
  }

  void compare(service::RestoreTarget& target) const override {
    const Json& found = target.record().found;
    const auto number = [&](const char* key) { return size_member(found, key).value_or(0); };
    for (const char* key : {"index", "term", "state_bytes"}) {
      target.report.compared[key] = number(key);
    }
    target.report.lines.push_back(
        fmt::format("index {}, term {}: the snapshot's own sums hold for {} of state",
                    number("index"), number("term"), format_bytes(number("state_bytes"))));
    target.report.not_proven.emplace_back(
        "that it unseals, and the secrets in it: both need the unseal keys, which no backup has");
    target.report.not_proven.emplace_back("that a server takes it: it was not restored into one");
  }
};

// --- the service

std::string words_of(const docker::ExecResult& result, const wire::ExecConfig& exec) {
  return docker::failure_output(result, exec.env);
}

class Vault : public service::Service {
 public:
  char letter() const override { return 'C'; }
  std::string_view title() const override { return "Vault, OpenBao: raft snapshot"; }
  conf::ClassRule default_rule() const override {
    return {letter(),
            {"vault"},
            {"vault", "*/vault", "*/vault-enterprise", "*/openbao", "*/openbao-ubi",
             "*/openbao-hsm-ubi"}};
  }

  Capture plan(const PlanInputs& inputs) const override {
    const service::Target& target = inputs.target;
    if (!inputs.answers()) {
      return files::files_instead(inputs,
                                  "no snapshot, as the container is " + target.container.state);
    }
    std::string refusal;
    std::string asked_by;  // the program whose refusal that is
    bool any_started = false;
    for (const wire::ExecConfig& probe : probes(target, inputs.environment)) {
      const docker::ExecResult answer =
          docker::run_or_end(inputs.engine, target.container.id, probe);
      const auto status = parse_status(answer.out);
      if (!status) {
        const bool started = !docker::not_started(answer);
        if (refusal.empty() || (started && !any_started)) {
          asked_by = probe.argv.front();
          refusal = fmt::format("{} status: {}", asked_by, words_of(answer, probe));
        }
        any_started = any_started || started;
        continue;
      }
      auto reason = no_snapshot_because(*status);
      if (!reason && !has_token(target, probe)) {
        reason = "VAULT_TOKEN is not set in your environment" +
                 service::dropped_by_sudo(inputs, "VAULT_TOKEN");
      }
      if (reason) return files::files_instead(inputs, "no snapshot, as " + *reason);
      Capture capture = snapshot_capture(target, probe, *status);
      capture.parts.front().kind = &snapshot_kind();
      // An old server does not say what its storage is until it is asked for a snapshot.
      if (status->storage_type.empty() && !files::archive_parts(target, inputs.mounts).empty()) {
        capture.if_refused = std::make_shared<const Capture>(
            files::mounted_archive(target, inputs.mounts, inputs.all, inputs.wanted));
      }
      return capture;
    }
    if (!any_started) {
      throw Error(ErrorKind::capture,
                  "neither vault nor bao could be started in the container: " + refusal,
                  "is it a Vault? `--class E` takes its files as they are");
    }
    throw Error(ErrorKind::capture, "the server does not answer: " + refusal,
                "is it up? To name another address, " + address_hint(target.module, asked_by) +
                    ". `--class E` takes its files as they are");
  }

  void explain(Error& error, const Capture& capture) const override {
    if (capture.if_refused && is_not_raft(error.what())) {
      throw service::Refused("no snapshot, as its storage is not raft");
    }
    const auto* dump = std::get_if<service::ExecDump>(&capture.parts.front().what);
    if (dump == nullptr) return;
    const std::string hint =
        snapshot_hint(error.what(), capture.target.module, dump->exec.argv.front());
    if (!hint.empty()) error.with_hint(hint);
  }

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    service::Readiness readiness = service::stopped_server(inputs, service::Ready::partly);
    const auto probe = probes(inputs.target, inputs.environment).front();
    if (!has_token(inputs.target, probe)) {
      service::note_fallback(
          readiness, probe.argv.front() == "bao" ? "BAO_TOKEN or VAULT_TOKEN" : "VAULT_TOKEN");
    }
    return readiness;
  }
};

}  // namespace

const service::Service& vault() {
  static const Vault service;
  return service;
}

const service::ArtifactKind& snapshot_kind() {
  static const SnapshotKind kind;
  return kind;
}

}  // namespace bba::services::vault
