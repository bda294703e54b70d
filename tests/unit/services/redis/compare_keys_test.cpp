#include "services/redis/compare_keys.hpp"

#include <doctest/doctest.h>

namespace bba::services::redis {
namespace {

Json counts(unsigned keys, unsigned expires = 0) {
  return {{"keys", keys}, {"expires", expires}};
}

Json around(unsigned before, unsigned after, unsigned expires = 0) {
  Json json = Json::object();
  json["db0"] = {{"before", counts(before, expires)}, {"after", counts(after, expires)}};
  return json;
}

Json restored(unsigned keys, unsigned expires = 0) {
  Json json = Json::object();
  json["db0"] = counts(keys, expires);
  return json;
}

}  // namespace

TEST_CASE("an unchanged server has exactly the keys that it had") {
  CHECK(compare_keys(around(17, 17), restored(17)).lost.empty());
  CHECK(compare_keys(around(17, 17), restored(17)).not_proven.empty());
  CHECK(compare_keys(around(17, 17), restored(16)).lost ==
        "db0 has 16 keys without a time to live after restoring, and the server had 17");
  CHECK(compare_keys(around(17, 17), restored(18)).lost ==
        "db0 has 18 keys without a time to live after restoring, and the server had 17");
  CHECK(compare_keys(around(17, 17), Json::object()).lost ==
        "db0 has 0 keys without a time to live after restoring, and the server had 17");
  CHECK(compare_keys(Json::object(), Json::object()).lost.empty());
  CHECK(compare_keys(Json::object(), restored(1)).lost ==
        "db0 has 1 keys after restoring, and the server had 0");
}

TEST_CASE("only keys that expire may be missing") {
  const KeyVerdict verdict = compare_keys(around(17, 17, 3), restored(15, 1));
  CHECK(verdict.lost.empty());
  CHECK(verdict.not_proven ==
        std::vector<std::string>{
            "db0: 2 of 3 keys with a time to live are gone: that they had expired"});
  CHECK(compare_keys(around(17, 17, 3), restored(14)).lost.empty());
  CHECK(compare_keys(around(17, 17, 3), restored(13)).lost ==
        "db0 has 13 keys without a time to live after restoring, and the server had 14");
  CHECK(compare_keys(around(2, 2, 5), Json::object()).lost.empty());
}

TEST_CASE("a missing key without an expiry is found, however many expiring keys are there") {
  CHECK(compare_keys(around(17, 17, 3), restored(15, 3)).lost ==
        "db0 has 12 keys without a time to live after restoring, and the server had 14");
  CHECK(compare_keys(around(17, 17, 3), restored(17, 2)).lost ==
        "db0 has 15 keys without a time to live after restoring, and the server had 14");
  CHECK(compare_keys(around(17, 17, 3), restored(18, 4)).lost ==
        "db0 has 18 keys after restoring, and the server had 17");
  CHECK_FALSE(compare_keys(around(20, 30, 10), restored(18, 10)).lost.empty());
  CHECK(compare_keys(around(20, 30, 10), restored(18, 5)).lost.empty());
}

TEST_CASE(
    "any count between the two recorded states of a busy server passes, and the receipt says so") {
  for (const unsigned keys : {10U, 15U, 20U}) {
    for (const Json& moments : {around(10, 20), around(20, 10)}) {
      const KeyVerdict verdict = compare_keys(moments, restored(keys));
      CHECK(verdict.lost.empty());
      CHECK(verdict.not_proven.size() == 1);
    }
  }
  CHECK_FALSE(compare_keys(around(10, 20), restored(9)).lost.empty());
  CHECK_FALSE(compare_keys(around(10, 20), restored(21)).lost.empty());
}

TEST_CASE("a database that had lasting keys at both moments and has none now is missing") {
  CHECK(missing_database(around(17, 17), Json::object()) == "db0");
  CHECK(missing_database(around(17, 1), restored(0)) == "db0");
  CHECK(missing_database(around(17, 17), restored(1)).empty());
  // Clients go on writing to it, and may have replaced every key.
  CHECK(missing_database(around(17, 17), restored(3, 3)).empty());
  // It may have been emptied while it was saved.
  CHECK(missing_database(around(17, 0), Json::object()).empty());
  CHECK(missing_database(around(0, 17), Json::object()).empty());
  // Keys that all expire may have done so.
  CHECK(missing_database(around(17, 17, 17), Json::object()).empty());
  CHECK(missing_database(around(17, 17, 16), Json::object()) == "db0");
  CHECK(missing_database(Json::object(), restored(1)).empty());
}

TEST_CASE("the first of the missing databases is named") {
  Json two = around(17, 17);
  two["db3"] = two["db0"];
  two["db5"] = two["db0"];
  CHECK(missing_database(two, restored(17)) == "db3");
  CHECK(missing_database(two, Json::object()) == "db0");
}

}  // namespace bba::services::redis
