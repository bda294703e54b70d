// The list of the services: nothing twice, everything is found, and which class a module is of.
#include "bba/services/registry.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "unit/service/support.hpp"
#include "unit/services/support.hpp"

using namespace bba;
using namespace bba::services;

TEST_CASE("registry: every letter once, and each finds its service") {
  std::set<char> seen;
  for (const service::Service* one : all_services()) {
    CAPTURE(one->title());
    CHECK(one->letter() >= 'A');
    CHECK(one->letter() <= 'Z');
    CHECK(seen.insert(one->letter()).second);
    CHECK(service_by_letter(one->letter()) == one);
    CHECK(one->default_rule().module_class == one->letter());
    CHECK_FALSE(one->title().empty());
  }
  CHECK(letters() == std::string(seen.begin(), seen.end()));
  CHECK(letters().starts_with("ABCDEFG"));
  CHECK(service_by_letter('Z') == nullptr);
  CHECK(service_by_letter('a') == nullptr);
  CHECK(service_by_letter('\0') == nullptr);
}

TEST_CASE("registry: every kind once, and each is found by its name") {
  std::set<std::string_view> seen;
  for (const service::ArtifactKind* one : all_kinds()) {
    CAPTURE(one->name());
    CHECK(seen.insert(one->name()).second);
    CHECK(kind_by_name(one->name()) == one);
    CHECK(&require_kind(one->name()) == one);
    CHECK_FALSE(one->suffix().empty());
  }
  // Kinds in manifests of earlier versions stay readable.
  for (const std::string_view name :
       {"sql", "rdb-directory", "raft-snapshot", "objects", "tar", "host-directory"}) {
    CAPTURE(name);
    CHECK(seen.contains(name));
  }
}

TEST_CASE("registry: an archive that lacks what its kind is named for still has a known kind") {
  for (const service::ArtifactKind* one : all_kinds()) {
    CAPTURE(one->name());
    CHECK(kind_by_name(one->recorded_name(Json::object())) != nullptr);
  }
}

TEST_CASE("registry: an unknown kind is an error that names it") {
  CHECK(kind_by_name("sqlite") == nullptr);
  CHECK(kind_by_name("") == nullptr);
  try {
    require_kind("sqlite");
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::artifact);
    CHECK(std::string(error.what()) == "this version knows no kind of artifact called \"sqlite\"");
  }
}

TEST_CASE("registry: a plan is of the service that has the letter") {
  test::PlanFixture asked;
  const auto plan_of = [&](char letter) {
    return plan({asked.engine,
                 asked.reporter,
                 asked.config,
                 asked.environment,
                 test::target("kuma", letter),
                 {},
                 {test::taken(test::volume("v", "/data"))},
                 service::Consistency::automatic});
  };
  CHECK(plan_of('E').service == service_by_letter('E'));
  CHECK(plan_of('F').service == service_by_letter('F'));
  try {
    plan_of('Z');
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::config);
    CHECK(std::string(error.what()) == "'Z' is not a class");
  }
}

TEST_CASE("registry: the built-in table chooses the classes") {
  const struct {
    std::string module;
    std::string image;
    char module_class;
  } rows[] = {
      {"agaria-postgres", "postgres:16", 'G'},
      {"agaria-redis", "redis:7", 'G'},
      {"karakeep-meilisearch", "getmeili/meilisearch:v1.13", 'F'},
      {"searxng", "searxng/searxng", 'F'},
      {"postgres", "", 'A'},
      {"honcho-postgres", "pgvector/pgvector:pg16", 'A'},
      {"agent-plane-shadow-postgres", "postgres:16-alpine", 'A'},
      {"anything-postgres", "busybox", 'A'},
      {"shop-db", "docker.io/library/postgres:15", 'A'},
      {"shop-db", "bitnami/postgresql:16", 'A'},
      {"shop-db", "bitnami/postgresql-repmgr:16", 'A'},
      {"shop-db", "timescale/timescaledb-ha:pg16", 'A'},
      {"shop-db", "postgis/postgis:16-3.4", 'A'},
      {"shop-db", "supabase/postgres:15.1", 'A'},
      {"shop-db", "ghcr.io/immich-app/postgres:14-vectorchord", 'A'},
      {"redis", "", 'B'},
      {"honcho-redis", "", 'B'},
      {"infisical-redis", "", 'B'},
      {"cache", "valkey/valkey:8", 'B'},
      {"cache", "docker.io/bitnami/valkey", 'B'},
      {"cache", "redis/redis-stack-server:7.4.0-v3", 'B'},
      {"vault", "", 'C'},
      {"secrets", "hashicorp/vault:1.18", 'C'},
      {"secrets", "quay.io/openbao/openbao:2.1", 'C'},
      {"minio", "", 'D'},
      {"objects", "quay.io/minio/minio", 'D'},
      {"objects", "bitnami/minio:2025", 'D'},
      {"uptime-kuma", "louislam/uptime-kuma:1", 'E'},
      {"passwords", "vaultwarden/server", 'E'},
      {"metrics", "prometheuscommunity/postgres-exporter", 'E'},
      {"metrics", "oliver006/redis_exporter", 'E'},
      {"minio-client", "minio/mc", 'E'},
      {"injector", "hashicorp/vault-k8s", 'E'},
      {"unknown", "", 'E'},
  };
  for (const auto& row : rows) {
    CAPTURE(row.module);
    CAPTURE(row.image);
    CHECK(class_of({}, row.module, row.image).module_class == row.module_class);
  }
}

TEST_CASE("registry: the result says which rule decided") {
  CHECK(class_of({}, "honcho-postgres", "x").why ==
        "module name matches honcho-postgres (class A)");
  CHECK(class_of({}, "my-postgres", "x").why == "module name matches *postgres (class A)");
  CHECK(class_of({}, "db", "docker.io/bitnami/postgresql:16").why ==
        "image bitnami/postgresql matches */postgresql (class A)");
  CHECK(class_of({}, "kuma", "x").why == "nothing matches: everything else is class E");
}

TEST_CASE(
    "registry: a module's own setting comes before rules, configured rules replace the built-in") {
  conf::Config config;
  config.class_rules = {{'B', {"db*"}, {}}};
  CHECK(class_of(config, "db-postgres", "postgres").module_class == 'B');
  // The rules of the configuration replace the built-in table.
  CHECK(class_of(config, "my-postgres", "postgres").module_class == 'E');
  // An unknown image matches nothing, not even *.
  config.class_rules = {{'F', {}, {"*"}}};
  CHECK(class_of(config, "x", "").module_class == 'E');
  config.modules["db"].module_class = 'C';
  const conf::ClassChoice choice = class_of(config, "db", "postgres");
  CHECK(choice.module_class == 'C');
  CHECK(choice.why == "configuration modules.db.class");
}

TEST_CASE("registry: the rules of the example are those of the services") {
  const conf::Config example =
      conf::load_config(BBA_SOURCE_DIR "/fixtures/config/example.yaml", true, letters());
  std::vector<conf::ClassRule> rules;
  for (const service::Service* one : all_services()) {
    const conf::ClassRule rule = one->default_rule();
    if (!rule.modules.empty() || !rule.images.empty()) rules.push_back(rule);
  }
  REQUIRE(example.class_rules.size() == rules.size());
  for (std::size_t i = 0; i < rules.size(); ++i) {
    CHECK(example.class_rules[i].module_class == rules[i].module_class);
    CHECK(example.class_rules[i].modules == rules[i].modules);
    CHECK(example.class_rules[i].images == rules[i].images);
  }
}
