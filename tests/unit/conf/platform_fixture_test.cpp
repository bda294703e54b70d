// fixtures/platform, a tree in the shape of a real platform, read as a whole.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/conf/config.hpp"
#include "bba/conf/platform.hpp"

using namespace bba::conf;

namespace {

const std::string root = BBA_SOURCE_DIR "/fixtures/platform";

const ComposeService& service(const Platform& platform, const std::string& name) {
  const auto found =
      std::find_if(platform.compose.services.begin(), platform.compose.services.end(),
                   [&](const ComposeService& each) { return each.name == name; });
  REQUIRE_MESSAGE(found != platform.compose.services.end(), name);
  return *found;
}

}  // namespace

TEST_CASE("platform fixture: 88 modules, 45 of them stateful, and nothing broken") {
  const Platform platform = load_platform(root);
  CHECK(bba::join(platform.problems, "; ") == "");
  CHECK(platform.modules.size() == 88);
  CHECK(module_ids(root).size() == 88);
  std::map<Statefulness, int> count;
  for (const auto& entry : platform.modules) {
    CAPTURE(entry.first);
    const auto& module = entry.second;
    ++count[module.statefulness];
    CHECK(module.host != "");
    CHECK(module.image_observed != "");
  }
  CHECK(count[Statefulness::stateful] == 45);
  CHECK(count[Statefulness::sidecar_bound] == 1);
  CHECK(count[Statefulness::stateless] == 42);
  for (const std::string id : {"postgres",
                               "honcho-postgres",
                               "agent-plane-shadow-postgres",
                               "redis",
                               "honcho-redis",
                               "infisical-redis",
                               "vault",
                               "minio",
                               "karakeep",
                               "karakeep-meilisearch",
                               "searxng",
                               "agaria-postgres",
                               "agaria-redis",
                               "uptime-kuma",
                               "forgejo",
                               "infisical",
                               "git-mirror",
                               "deploy-control",
                               "audio-mcp",
                               "hermes-agency",
                               "gmail-triage-mcp"}) {
    CAPTURE(id);
    CHECK(platform.modules.at(id).statefulness == Statefulness::stateful);
  }
}

TEST_CASE("platform fixture: modules that depend on others, and one on another host") {
  const Platform platform = load_platform(root);
  const Module& init = platform.modules.at("minio-init");
  CHECK(init.statefulness == Statefulness::sidecar_bound);
  CHECK(init.backup_ref_modules == std::vector<std::string>{"minio"});
  for (const std::string id : {"umami", "n8n-worker"}) {
    CHECK(platform.modules.at(id).statefulness == Statefulness::stateless);
    CHECK_FALSE(platform.modules.at(id).backup_ref_modules.empty());
  }
  std::set<std::string> hosts;
  for (const auto& [id, module] : platform.modules) hosts.insert(module.host);
  CHECK(hosts == std::set<std::string>{"core-1", "home-1"});
  CHECK(platform.modules.at("home-assistant").host == "home-1");
}

TEST_CASE("platform fixture: the stacks, through anchors, merge keys and includes") {
  const Platform platform = load_platform(root);
  CHECK(platform.compose.services.size() == 85);  // all but agaria's two and home-assistant
  CHECK(platform.compose.projects == std::vector<std::string>{"apps", "core", "edge", "base"});
  CHECK(service(platform, "postgres").container_name == "platform-postgres");
  CHECK(service(platform, "postgres").image == "postgres:${POSTGRES_TAG:-16.6-alpine}");
  CHECK(service(platform, "postgres").stack == "core");
  CHECK(service(platform, "postgres-exporter").stack == "core");  // of an included file
  CHECK(service(platform, "honcho-deriver").image ==
        "registry.internal:5000/agents/honcho:${HONCHO_TAG:-2.1.0}");
  CHECK(service(platform, "mirror").volumes.at(0).source == "${MIRROR_DIR:-/srv/git-mirror}");
  CHECK(service(platform, "mirror").volumes.at(0).type == "bind");
  CHECK(service(platform, "node-exporter").volumes.size() == 3);
  const std::vector<ComposeVolume>& nextcloud = service(platform, "nextcloud").volumes;
  REQUIRE(nextcloud.size() == 3);
  CHECK(nextcloud[1].type == "bind");
  CHECK(nextcloud[2].type == "tmpfs");
  CHECK(service(platform, "jellyfin").volumes.size() == 3);  // two files, laid over each other
  for (const ComposeService& each : platform.compose.services) {
    CAPTURE(each.name);
    CHECK(each.image != "");
  }
}

TEST_CASE("platform fixture: runbooks name containers whose names differ from the modules'") {
  CHECK(runbook_containers(root, "forgejo") == std::vector<std::string>{"git-forgejo"});
  CHECK(runbook_containers(root, "uptime-kuma") == std::vector<std::string>{"kuma"});
  CHECK(runbook_containers(root, "vault") == std::vector<std::string>{"platform-vault"});
  CHECK(runbook_containers(root, "agaria-postgres") ==
        std::vector<std::string>{"agaria-postgres-1"});
  CHECK(runbook_containers(root, "grafana").empty());
  int runbooks = 0;
  for (const std::string& id : module_ids(root))
    runbooks += runbook_containers(root, id).empty() ? 0 : 1;
  CHECK(runbooks == 25);
}
