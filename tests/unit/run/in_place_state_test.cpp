#include "bba/run/in_place_state.hpp"

#include <doctest/doctest.h>

#include "bba/run/cleanup.hpp"
#include "bba/store/lock.hpp"
#include "unit/session.hpp"

namespace bba::run {
namespace {

using bba::test::contains;
using bba::test::write_file;
using pipe::test::TempDir;

InPlaceState state_of(const std::string& module) {
  InPlaceState state;
  state.module = module;
  state.container = module + "-1";
  state.set = module + "-20261123T120000Z.manifest.json";
  state.safety_set = module + "-20261124T120000Z.manifest.json";
  state.time = *parse_compact("20261124T120001Z");
  state.whole = true;
  state.unfinished = true;
  return state;
}

}  // namespace

TEST_CASE("a restore in place is read back as it was written, one for each module") {
  const TempDir temp;
  const std::string directory = temp / "state";
  CHECK(in_place_states(directory).empty());
  CHECK_FALSE(in_place_state(directory, "vault").has_value());
  write_in_place_state(directory, state_of("vault"));
  write_in_place_state(directory, state_of("minio"));
  const auto vault = in_place_state(directory, "vault");
  REQUIRE(vault.has_value());
  CHECK(vault->container == "vault-1");
  CHECK(vault->set == "vault-20261123T120000Z.manifest.json");
  CHECK(vault->safety_set == "vault-20261124T120000Z.manifest.json");
  CHECK(format_compact(vault->time) == "20261124T120001Z");
  CHECK(vault->whole);
  CHECK(vault->unfinished);

  InPlaceState done = state_of("vault");
  done.unfinished = false;
  write_in_place_state(directory, done);
  CHECK_FALSE(in_place_state(directory, "vault")->unfinished);
  const auto all = in_place_states(directory);
  REQUIRE(all.size() == 2);
  CHECK(all[0].module == "minio");

  remove_in_place_state(directory, "vault");
  remove_in_place_state(directory, "vault");
  CHECK_FALSE(in_place_state(directory, "vault").has_value());
  CHECK(in_place_states(directory).size() == 1);
}

TEST_CASE("a file that does not say what was done is an error, not nothing to undo") {
  const TempDir temp;
  const std::string directory = temp / "state";
  write_in_place_state(directory, state_of("vault"));
  write_file(directory + "/vault.in-place.json", R"({"module": "vault"})");
  CHECK_THROWS_AS(in_place_state(directory, "vault"), Error);
  CHECK_THROWS_AS(in_place_states(directory), Error);
}

TEST_CASE("recover names a restore in place that was broken off, and settles one that is whole") {
  bba::test::BackupFixture fixture;
  const std::string directory = fixture.state();
  write_in_place_state(directory, state_of("vault"));
  InPlaceState minio = state_of("minio");
  minio.whole = false;
  write_in_place_state(directory, minio);
  InPlaceState done = state_of("done");
  done.unfinished = false;
  write_in_place_state(directory, done);
  {
    // Its run is still at it.
    const store::ModuleLock lock(directory, "minio");
    const RecoverOutcome recovered = recover(fixture.session);
    CHECK(recovered.failed.empty());
    CHECK_FALSE(recovered.broken_off);
    REQUIRE(recovered.done.size() == 1);
    CHECK(contains(recovered.done[0], "restore in place: vault: it was broken off"));
    CHECK(contains(recovered.done[0], "restore vault --undo"));
  }
  CHECK_FALSE(in_place_state(directory, "vault")->unfinished);
  const RecoverOutcome recovered = recover(fixture.session);
  CHECK(recovered.done.empty());
  REQUIRE(recovered.failed.size() == 1);
  CHECK(contains(recovered.failed[0], minio.safety_set));
  CHECK(contains(recovered.failed[0], "restore minio --undo"));
  CHECK(recovered.broken_off);
  CHECK_FALSE(recovered.unfinished);
  CHECK(in_place_state(directory, "minio")->unfinished);
}

}  // namespace bba::run
