// Class C, planned on a scripted engine.
#include "services/vault/vault.hpp"

#include <doctest/doctest.h>

#include "unit/service/support.hpp"
#include "unit/services/support.hpp"

using namespace bba;

TEST_CASE("vault: a snapshot is an artifact of Vault's own kind, stored as it is") {
  test::PlanFixture asked;
  asked.environment = {{"VAULT_TOKEN", "hunter2"}};
  asked.programs_print("id-of-vault", R"({"sealed":false,"storage_type":"raft"})");
  const service::Capture capture = asked.plan(services::vault::vault(), test::target("vault", 'C'));
  REQUIRE(capture.parts.size() == 1);
  CHECK(capture.parts[0].kind == &services::vault::snapshot_kind());
  CHECK(capture.parts[0].kind->name() == "raft-snapshot");
  CHECK_FALSE(capture.parts[0].kind->compressible());
  CHECK_FALSE(capture.if_refused);
}

TEST_CASE("vault: the storage of an old server shows only when it is asked for a snapshot") {
  test::PlanFixture asked;
  asked.environment = {{"VAULT_TOKEN", "hunter2"}};
  asked.programs_print("id-of-vault", R"({"sealed":false})");
  const service::Capture capture = asked.plan(services::vault::vault(), test::target("vault", 'C'),
                                              {test::taken(test::volume("v", "/vault/file"))});
  REQUIRE(capture.if_refused);
  CHECK(capture.if_refused->strategy == "mounted data archive");
}
