#include <string>

#include <doctest/doctest.h>

#include "bba/conf/config.hpp"

using bba::conf::choose_class;
using bba::conf::ClassRule;
using bba::conf::image_repository;

TEST_CASE(
    "class rules: an image's repository is its name without registry, library, tag and digest") {
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

TEST_CASE("class rules: the result says which rule decided") {
  const std::vector<ClassRule> rules{
      {'A', {"honcho-postgres", "*postgres"}, {"postgres", "*/postgresql"}}};
  CHECK(choose_class(rules, "honcho-postgres", "x")->why ==
        "module name matches honcho-postgres (class A)");
  CHECK(choose_class(rules, "my-postgres", "x")->why == "module name matches *postgres (class A)");
  CHECK(choose_class(rules, "db", "docker.io/bitnami/postgresql:16")->why ==
        "image bitnami/postgresql matches */postgresql (class A)");
  CHECK_FALSE(choose_class(rules, "kuma", "x").has_value());
  CHECK_FALSE(choose_class({}, "postgres", "postgres").has_value());
}

TEST_CASE(
    "class rules: the first rule wins, and every rule's names come before any rule's images") {
  const std::vector<ClassRule> rules{
      {'B', {}, {"postgres"}}, {'A', {"db*"}, {}}, {'F', {"db1"}, {"*"}}};
  CHECK(choose_class(rules, "db1", "postgres")->module_class == 'A');
  CHECK(choose_class(rules, "x", "postgres")->module_class == 'B');
  CHECK(choose_class(rules, "x", "other")->module_class == 'F');
  // An unknown image matches nothing, not even *.
  CHECK_FALSE(choose_class(rules, "x", "").has_value());
}
