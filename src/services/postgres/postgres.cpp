#include "postgres.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/asking.hpp"
#include "bba/service/dump_content.hpp"
#include "bba/services/files.hpp"
#include "dump_check.hpp"
#include "dump_found.hpp"
#include "exchange_cluster.hpp"
#include "restore.hpp"
#include "server.hpp"

namespace bba::services::postgres {

namespace {

class DumpKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "sql"; }
  std::string_view suffix() const override { return "sql"; }
  std::vector<std::string> required_found() const override { return {"databases"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<service::DumpContent<DumpCheck, dump_found>>();
  }
  service::FreshTarget fresh_target(const wire::Container& live, const store::Manifest& manifest,
                                    const store::ArtifactRecord&) const override {
    return fresh_cluster(live, manifest.facts);
  }
  service::Restore restore(const store::Manifest& manifest,
                           const store::ArtifactRecord& record) const override {
    return restore_dump(manifest, record);
  }
  void compare(service::RestoreTarget& target) const override { compare_databases(target); }
  std::optional<std::string> exchanged_mount(const wire::Container& live,
                                             const store::ArtifactRecord&) const override {
    return cluster_mount(live);
  }
  bool carries_over(const service::ExchangePlace& place, const std::string& path) const override {
    return is_configuration(place.live, path);
  }
  void require_exchangeable(const service::ExchangePlace& place,
                            service::RestoreTarget*) const override {
    require_plain_cluster(place);
  }
  void require_fit(const service::ExchangePlace& place,
                   service::RestoreTarget& target) const override {
    require_same_directory(place, target);
  }
  std::optional<bool> serves(service::RestoreTarget& target) const override {
    return has_databases(target);
  }
};

class Postgres : public service::Service {
 public:
  char letter() const override { return 'A'; }
  std::string_view title() const override { return "PostgreSQL: pg_dumpall"; }
  conf::ClassRule default_rule() const override {
    return {
        letter(),
        {"postgres", "honcho-postgres", "agent-plane-shadow-postgres", "*postgres"},
        {"postgres", "*/postgres", "*/postgresql", "*/postgresql-repmgr", "*/postgis",
         "pgvector/pgvector", "timescale/timescaledb*", "citusdata/citus", "paradedb/paradedb",
         "tensorchord/pgvecto-rs", "tensorchord/vchord-postgres", "pgautoupgrade/pgautoupgrade"}};
  }

  service::Capture plan(const service::PlanInputs& inputs) const override {
    const service::Target& target = inputs.target;
    service::require_running(target, "pg_dumpall needs a server that answers", files::take_files);
    const auto password = service::container_secret(inputs, password_variables(target.container));
    std::string refusals;
    for (const auto& identity : identities(target, password)) {
      const docker::ExecResult result =
          docker::run_or_end(inputs.engine, target.container.id, probe(identity));
      if (result.exit_code == 0) {
        if (const auto facts = parse_probe(result.out)) {
          service::Capture capture =
              dump_capture(target, identity, *facts, inputs.config.lock_wait_timeout);
          capture.parts.front().kind = &dump_kind();
          return capture;
        }
      }
      // psql that cannot be started says so on stdout.
      const std::string refusal =
          fmt::format("as {}{}: exit code {}: {}", identity.role,
                      identity.exec_user.empty() ? "" : " (user " + identity.exec_user + ")",
                      result.exit_code, docker::failure_output(result, identity.env));
      inputs.reporter.detail("psql " + refusal);
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

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    return service::stopped_server(inputs, service::Ready::no);
  }
};

}  // namespace

const service::Service& postgres() {
  static const Postgres service;
  return service;
}

const service::ArtifactKind& dump_kind() {
  static const DumpKind kind;
  return kind;
}

}  // namespace bba::services::postgres
