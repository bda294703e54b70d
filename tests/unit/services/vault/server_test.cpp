// Class C: whose token, which address, and what a server's state means for a snapshot.
#include "services/vault/server.hpp"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "services/vault/vault.hpp"
#include "unit/service/support.hpp"

using namespace bba;
using namespace bba::services::vault;
using Names = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

namespace {

service::Target vault(const std::string& image, std::vector<std::string> env = {}) {
  service::Target target = test::target("vault", 'C', std::move(env));
  target.container.config_image = image;
  return target;
}

// "vault: VAULT_TOKEN=..., VAULT_ADDR=..."
Names shown(const service::Target& target, const Environment& environment) {
  Names lines;
  for (const wire::ExecConfig& probe : services::vault::probes(target, environment)) {
    Names variables;
    for (const wire::EnvVar& one : probe.env) variables.push_back(one.name + "=" + one.value);
    lines.push_back(probe.argv.front() + ": " + join(variables, ", "));
    CHECK(Names(probe.argv.begin() + 1, probe.argv.end()) == Names{"status", "-format=json"});
    CHECK_FALSE(probe.attach_stdin);
  }
  return lines;
}

}  // namespace

TEST_CASE("vault: the likelier program comes first, each with the variables that it reads") {
  const Environment environment{{"VAULT_TOKEN", "t"}, {"BAO_TOKEN", "b"}, {"HOME", "/root"}};
  CHECK(shown(vault("hashicorp/vault:1.18"), environment) ==
        Names{"vault: VAULT_TOKEN=t", "bao: BAO_TOKEN=b"});
  CHECK(shown(vault("quay.io/openbao/openbao:2"), environment) ==
        Names{"bao: BAO_TOKEN=b", "vault: VAULT_TOKEN=t"});
  CHECK(shown(vault("openbao/openbao"), {{"VAULT_TOKEN", "t"}}) ==
        Names{"bao: VAULT_TOKEN=t", "vault: VAULT_TOKEN=t"});
  CHECK(shown(vault("hashicorp/vault"), {{"VAULT_TOKEN", ""}}) == Names{"vault: ", "bao: "});
}

TEST_CASE("vault: the container's own address comes before the operator's, under either name") {
  const Environment environment{{"VAULT_ADDR", "https://active:8200"},
                                {"VAULT_CACERT", "/ca.pem"},
                                {"VAULT_SKIP_VERIFY", "true"},
                                {"VAULT_NAMESPACE", "team"}};
  CHECK(shown(vault("vault"), environment)[0] ==
        "vault: VAULT_ADDR=https://active:8200, VAULT_CACERT=/ca.pem, VAULT_SKIP_VERIFY=true, "
        "VAULT_NAMESPACE=team");
  CHECK(shown(vault("vault", {"VAULT_ADDR=http://127.0.0.1:8200", "VAULT_NAMESPACE="}),
              environment)[0] == "vault: VAULT_CACERT=/ca.pem, VAULT_SKIP_VERIFY=true");
  CHECK(shown(vault("openbao", {"BAO_ADDR=http://127.0.0.1:8200"}),
              {{"VAULT_ADDR", "https://active:8200"}})[0] == "bao: ");
}

TEST_CASE("vault: variables that the configuration lends are added, and none twice") {
  service::Target target = vault("vault");
  target.operator_env = {{"VAULT_TOKEN", "t"}, {"VAULT_CLIENT_CERT", "/cert.pem"}};
  CHECK(shown(target, {{"VAULT_TOKEN", "t"}})[0] ==
        "vault: VAULT_TOKEN=t, VAULT_CLIENT_CERT=/cert.pem");
}

TEST_CASE("vault: an address that the configuration lends comes before the container's") {
  for (const std::string name : {"VAULT_ADDR", "BAO_ADDR"}) {
    CAPTURE(name);
    service::Target target =
        vault(name == "BAO_ADDR" ? "openbao" : "vault", {name + "=http://here:8200"});
    target.operator_env = {{name, "https://active:8200"}};
    const auto probe = services::vault::probes(target, {{name, "https://active:8200"}})[0];
    REQUIRE(probe.env.size() == 1);
    CHECK(probe.env[0].name == name);
    CHECK(probe.env[0].value == "https://active:8200");
    const service::Capture capture = snapshot_capture(target, probe, {});
    // The container does give its server's address; it is another one.
    CHECK(capture.warnings == Names{"the snapshot is of https://active:8200, as " + name +
                                    " in your environment has it"});
  }
}

TEST_CASE("vault: whether there is a token in a variable that the program reads") {
  const auto token = [](const service::Target& target, const Environment& environment) {
    std::string answers;
    for (const wire::ExecConfig& probe : services::vault::probes(target, environment)) {
      answers += has_token(target, probe) ? "yes " : "no ";
    }
    return answers;
  };
  CHECK(token(vault("vault"), {}) == "no no ");
  CHECK(token(vault("vault"), {{"VAULT_TOKEN", "t"}}) == "yes yes ");
  CHECK(token(vault("vault"), {{"BAO_TOKEN", "t"}}) == "no yes ");
  CHECK(token(vault("vault", {"VAULT_TOKEN=t"}), {}) == "yes yes ");
  CHECK(token(vault("openbao", {"BAO_TOKEN=t"}), {}) == "yes no ");
  CHECK(token(vault("vault", {"VAULT_TOKEN="}), {}) == "no no ");
}

TEST_CASE("vault: a status is read") {
  const auto status =
      parse_status(R"({"type":"shamir","initialized":true,"sealed":false,"version":"1.18.3",)"
                   R"("cluster_name":"vault-cluster-1","storage_type":"raft","ha_enabled":true})"
                   "\n");
  REQUIRE(status);
  CHECK_FALSE(status->sealed);
  CHECK(status->initialized);
  CHECK(status->version == "1.18.3");
  CHECK(status->storage_type == "raft");
  CHECK(status->cluster_name == "vault-cluster-1");
  CHECK(parse_status(R"({"sealed":true})")->initialized);
  for (const std::string bad : {"", "Error checking seal status", "{}", "[]", R"({"sealed":"no"})",
                                R"({"sealed":null})", R"({"sealed":true} trailing)"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_status(bad));
  }
}

TEST_CASE("vault: the reason why there is no snapshot") {
  Status status;
  status.storage_type = "raft";
  CHECK_FALSE(no_snapshot_because(status));
  status.sealed = true;
  CHECK(no_snapshot_because(status) == "it is sealed");
  status.initialized = false;
  CHECK(no_snapshot_because(status) == "it is not initialized");
  status.storage_type = "file";
  CHECK(no_snapshot_because(status) == "its storage is file, not raft");
  CHECK_FALSE(no_snapshot_because(Status{}));  // a server that does not say
}

TEST_CASE("vault: the snapshot is taken with the probe's program and environment") {
  const service::Target target = vault("openbao");
  const auto probes = services::vault::probes(target, {{"BAO_TOKEN", "hunter2"}});
  Status status;
  status.version = "2.1.0";
  service::Capture capture = snapshot_capture(target, probes[0], status);
  capture.service = &services::vault::vault();  // as the registry says it
  CHECK(capture.strategy == "raft snapshot");
  CHECK(capture.consistency == service::Consistency::live);
  CHECK_FALSE(capture.fallback);
  REQUIRE(capture.parts.size() == 1);
  CHECK(service::requests(capture) ==
        Names{"POST /containers/vault/exec with BAO_TOKEN: bao operator raft snapshot save "
              "/dev/stdout"});
  CHECK(capture.facts.at("version") == "2.1.0");
  CHECK(capture.warnings.empty());

  const auto elsewhere = services::vault::probes(
      target, {{"VAULT_TOKEN", "t"}, {"VAULT_ADDR", "https://active:8200"}});
  const service::Capture other = snapshot_capture(target, elsewhere[0], status);
  REQUIRE(other.warnings.size() == 1);
  CHECK(other.warnings[0].find("the snapshot is of https://active:8200") != std::string::npos);
}

TEST_CASE("vault: the error of a failed save") {
  CHECK(is_not_raft("Code: 400. Errors:\n\n* raft storage is not in use"));
  CHECK_FALSE(is_not_raft("Code: 403. Errors:\n\n* permission denied"));
  const auto hint = [](std::string_view words, const std::string& program = "vault") {
    return snapshot_hint(words, "v", program);
  };
  CHECK(hint("Code: 403. Errors: * permission denied").find("sys/storage/raft/snapshot") !=
        std::string::npos);
  CHECK(hint("Code: 503. Errors: * Vault is sealed") == "unseal it first");
  CHECK(hint("connection refused").empty());
  const std::string standby = "incomplete snapshot, unable to read SHA256SUMS.sealed";
  CHECK(hint(standby).find("standby") != std::string::npos);
  // Which variable is read first depends on the program.
  CHECK(hint(standby).find("modules.v.env to [VAULT_ADDR]") != std::string::npos);
  CHECK(hint(standby, "bao").find("modules.v.env to [BAO_ADDR]") != std::string::npos);
}
