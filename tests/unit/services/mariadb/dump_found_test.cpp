#include "services/mariadb/dump_found.hpp"

#include <functional>

#include "bba/service/dump_comparison.hpp"
#include "unit/pipe/support.hpp"

namespace bba::services::mariadb {

TEST_CASE("the content of a dump of MariaDB is written as the manifest has it") {
  DumpCheck check;
  pipe::test::feed(check, pipe::test::fixture("sql/mariadb-dump-10.11.sql"), 1000);
  const Json found = dump_found(check);
  REQUIRE(found.at("databases").size() == 4);
  const Json& shop = found.at("databases")[3];
  CHECK(shop.at("name") == "shop");
  CHECK(shop.at("rows") == 27);
  CHECK(shop.at("tables").at("hostile_rows") == 10);
  CHECK(shop.at("tables").at("Empty `one`") == 0);
  for (const char* one : {"views", "events", "triggers", "sequences"}) CHECK(shop.at(one) == 1);
  CHECK(shop.at("routines") == 3);
  CHECK_FALSE(shop.contains("tables_left_out"));
  CHECK(parse_json(dump_json(found)) == found);
}

TEST_CASE("the first difference between the manifest's counts and a dump's is named") {
  const Json counted = *parse_json(R"([{"name":"a","views":1,"rows":3,"tables":{"t":1,"u":2}},
                                       {"name":"b","views":0,"rows":0,"tables":{}}])");
  const auto difference = [&](const std::function<void(Json&)>& change) {
    Json said = counted;
    change(said);
    return service::database_difference(said, counted);
  };
  CHECK(difference([](Json& said) { said[0]["tables"]["u"] = 3; }) ==
        "database a: it has tables u: 2, and the manifest says 3");
  CHECK(difference([](Json& said) { said[0]["tables"]["v"] = 9; }) ==
        "database a: it has tables v: nothing, and the manifest says 9");
  CHECK(difference([](Json& said) { said[0].erase("views"); }) ==
        "database a: it has views: 1, and the manifest says nothing");
  CHECK(difference([](Json& said) { said[1]["name"] = "c"; }) ==
        "it has database b, and the manifest says c");
  CHECK(difference([](Json& said) { said.erase(1); }) ==
        "it has 2 databases, and the manifest says 1");
  CHECK(difference([](Json& said) { said = "all"; }) == "the manifest does not say its databases");
}

}  // namespace bba::services::mariadb
