#include <string>

#include <doctest/doctest.h>

#include "bba/conf/config.hpp"

using bba::conf::choose_class;
using bba::conf::ClassRule;
using bba::conf::image_repository;

TEST_CASE("class rules: an image's repository is its name less registry, library, tag and digest") {
  const struct {
    std::string image;
    std::string repository;
  } rows[] = {
      {"postgres", "postgres"},
      {"postgres:16", "postgres"},
      {"library/postgres:16-alpine", "postgres"},
      {"docker.io/library/postgres:16", "postgres"},
      {"docker.io/bitnami/postgresql", "bitnami/postgresql"},
      {"quay.io/minio/minio:RELEASE.2025-01-01T00-00-00Z", "minio/minio"},
      {"localhost/redis:7", "redis"},
      {"localhost:5000/team/redis:7", "team/redis"},
      {"registry:5000/redis", "redis"},
      {"registry.example.org:5000/a/b/c:1@sha256:0123", "a/b/c"},
      {"ghcr.io/karakeep-app/karakeep:release", "karakeep-app/karakeep"},
      {"hashicorp/vault@sha256:0123", "hashicorp/vault"},
      {"sha256:0123", "sha256"},
      {"", ""},
      {":", ""},
      {"/", "/"},
      {"a.b/", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.image);
    CHECK(image_repository(row.image) == row.repository);
  }
}

TEST_CASE("class rules: the built-in table") {
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
    CHECK(choose_class({}, row.module, row.image).module_class == row.module_class);
  }
}

TEST_CASE("class rules: the choice says which rule made it") {
  CHECK(choose_class({}, "honcho-postgres", "x").why ==
        "module name matches honcho-postgres (class A)");
  CHECK(choose_class({}, "my-postgres", "x").why == "module name matches *postgres (class A)");
  CHECK(choose_class({}, "db", "docker.io/bitnami/postgresql:16").why ==
        "image bitnami/postgresql matches */postgresql (class A)");
  CHECK(choose_class({}, "kuma", "x").why == "nothing matches: everything else is class E");
}

TEST_CASE(
    "class rules: the first rule wins, and every rule's names come before any rule's images") {
  const std::vector<ClassRule> rules{
      {'B', {}, {"postgres"}}, {'A', {"db*"}, {}}, {'F', {"db1"}, {"*"}}};
  CHECK(choose_class(rules, "db1", "postgres").module_class == 'A');
  CHECK(choose_class(rules, "x", "postgres").module_class == 'B');
  CHECK(choose_class(rules, "x", "other").module_class == 'F');
  // An unknown image matches nothing, not even *.
  CHECK(choose_class(rules, "x", "").module_class == 'E');
}
