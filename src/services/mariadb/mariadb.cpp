#include "mariadb.hpp"

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/service/asking.hpp"
#include "bba/service/dump_content.hpp"
#include "bba/services/files.hpp"
#include "dump_check.hpp"
#include "dump_found.hpp"
#include "exchange_data.hpp"
#include "restore.hpp"
#include "server.hpp"

namespace bba::services::mariadb {

namespace {

class DumpKind : public service::ArtifactKind {
 public:
  std::string_view name() const override { return "mysql-dump"; }
  std::string_view suffix() const override { return "sql"; }
  std::vector<std::string> required_found() const override { return {"databases"}; }
  std::unique_ptr<service::ContentCheck> content_check(const Json&) const override {
    return std::make_unique<service::DumpContent<DumpCheck, dump_found>>();
  }
  service::FreshTarget fresh_target(const wire::Container&, const store::Manifest&,
                                    const store::ArtifactRecord&) const override {
    return fresh_server();
  }
  service::Restore restore(const store::Manifest& manifest,
                           const store::ArtifactRecord& record) const override {
    return restore_dump(manifest, record);
  }
  void compare(service::RestoreTarget& target) const override { compare_databases(target); }
  std::optional<std::string> exchanged_mount(const wire::Container& live,
                                             const store::ArtifactRecord&) const override {
    return data_mount(live);
  }
  bool carries_over(const service::ExchangePlace& place, const std::string& path) const override {
    return is_configuration(place.live, path);
  }
  void require_exchangeable(const service::ExchangePlace& place,
                            service::RestoreTarget* live) const override {
    require_plain_server(place, live);
  }
  void require_fit(const service::ExchangePlace& place,
                   service::RestoreTarget& target) const override {
    require_same_directory(place, target);
  }
  std::optional<bool> serves(service::RestoreTarget& target) const override {
    return has_databases(target);
  }
};

// --- the service

// A client that the server lets in, and where its server is.
struct Reached {
  Connection connection;
  Place place;
};

std::string name_of_setting(const service::Target& target, const char* setting) {
  return "modules." + target.module + "." + setting;
}

Reached reach(const service::PlanInputs& inputs) {
  const service::Target& target = inputs.target;
  std::vector<wire::EnvVar> env = target.operator_env;
  std::erase_if(env, [](const wire::EnvVar& one) { return one.name == "MYSQL_PWD"; });
  auto password = inputs.operator_variable("MYSQL_PWD");
  if (!password) password = service::container_secret(inputs, password_variables());
  if (password) env.push_back({"MYSQL_PWD", *password});
  const std::string user = target.settings.user.value_or("root");

  std::string refusal;
  bool any_started = false;
  for (const Programs& programs : known_programs()) {
    const wire::ExecConfig ask = find_socket(programs, user, env);
    const docker::ExecResult answer = docker::run_or_end(inputs.engine, target.container.id, ask);
    if (answer.exit_code == 0) {
      if (const auto place = parse_place(answer.out)) {
        return {{programs, place->socket, user, env}, *place};
      }
    }
    const std::string words = fmt::format("{} as {}: exit code {}: {}", programs.client, user,
                                          answer.exit_code, docker::failure_output(answer, env));
    inputs.reporter.detail(words);
    // A client that is not in the image says nothing about the server.
    const bool started = !docker::not_started(answer);
    if (refusal.empty() || (started && !any_started)) refusal = words;
    any_started = any_started || started;
  }
  const bool about_password = refusal.find("Access denied") != refusal.npos;
  throw Error(
      ErrorKind::capture, "the server could not be asked anything: " + refusal,
      about_password
          ? "set MYSQL_PWD in your environment" + service::dropped_by_sudo(inputs, "MYSQL_PWD") +
                "; or name another user than " + user + " with " + name_of_setting(target, "user")
          : "is it up? `--class E` takes its files as they are");
}

docker::ExecResult asked(const service::PlanInputs& inputs, const wire::ExecConfig& exec,
                         const std::string& what) {
  docker::ExecResult answer = docker::run_or_end(inputs.engine, inputs.target.container.id, exec);
  if (answer.exit_code != 0) {
    throw Error(
        ErrorKind::capture,
        fmt::format("the server does not say {}: exit code {}: {}", what, answer.exit_code,
                    docker::failure_output(answer, exec.env)),
        "name a user who may read everything with " + name_of_setting(inputs.target, "user"));
  }
  return answer;
}

class MariaDb : public service::Service {
 public:
  char letter() const override { return 'H'; }
  std::string_view title() const override {
    return "MariaDB, MySQL: mariadb-dump of all databases";
  }
  conf::ClassRule default_rule() const override {
    return {letter(),
            {"*mariadb", "*mysql"},
            {"mariadb", "*/mariadb", "*/mariadb-galera", "mysql", "*/mysql", "*/mysql-server",
             "mysql/community-server", "mysql/enterprise-server", "percona", "*/percona",
             "*/percona-server", "*/percona-xtradb-cluster"}};
  }

  service::Capture plan(const service::PlanInputs& inputs) const override {
    const service::Target& target = inputs.target;
    service::require_running(target, "a dump needs a server that answers", files::take_files);
    const Reached reached = reach(inputs);
    const docker::ExecResult answer =
        asked(inputs, probe(reached.connection), "what it holds and who may read it");
    const auto facts = parse_probe(answer.out);
    if (!facts) {
      throw Error(ErrorKind::capture,
                  "the server does not show its databases to " + reached.connection.user,
                  "name a user who may read everything with " + name_of_setting(target, "user"));
    }
    if (const auto missing = missing_rights(*facts); !missing.empty()) {
      throw Error(
          ErrorKind::capture,
          fmt::format("{} lacks rights on all databases, and a dump would leave out what it may "
                      "not see, and not say so: {}",
                      facts->account, join(missing, ", ")),
          "name a user who has them with " + name_of_setting(target, "user"));
    }
    const std::vector<std::string> grants = parse_grants(
        asked(inputs, ask_grants(reached.connection, *facts), "what its accounts may do").out);
    service::Capture capture =
        dump_capture(target, reached.connection, reached.place, *facts, grants);
    capture.parts.front().kind = &dump_kind();
    return capture;
  }

  void explain(Error& error, const service::Capture&) const override {
    const std::string_view words = error.what();
    const auto said = [&](std::string_view part) { return words.find(part) != words.npos; };
    if (said("references invalid table")) {
      error.with_hint("drop that view, or bring back what it is made of");
    } else if (said("is marked as crashed")) {
      error.with_hint("REPAIR TABLE, and try again");
    }
  }

  service::Readiness readiness(const service::ReadinessInputs& inputs) const override {
    return service::stopped_server(inputs, service::Ready::no);
  }
};

}  // namespace

const service::Service& mariadb() {
  static const MariaDb service;
  return service;
}

const service::ArtifactKind& dump_kind() {
  static const DumpKind kind;
  return kind;
}

}  // namespace bba::services::mariadb
