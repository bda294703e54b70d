#include "services/postgres/dump_found.hpp"

#include "bba/service/dump_comparison.hpp"
#include "unit/sets.hpp"

namespace bba::services::postgres {

TEST_CASE("the content of a dump is written as the manifest has it") {
  DumpCheck check;
  pipe::test::feed(check, test::sql_content().bytes, 1000);
  const Json found = dump_found(check);
  REQUIRE(found.at("databases").size() == 2);
  const Json& app = found.at("databases")[1];
  CHECK(app.at("name") == "app");
  CHECK(app.at("extensions") == Json::array());
  CHECK(app.at("large_objects") == 0);
  CHECK(app.at("rows") == app.at("tables").at("public.t"));
  CHECK(app.at("rows") > 1000);
  CHECK_FALSE(app.contains("tables_left_out"));
  CHECK(parse_json(dump_json(found)) == found);
  CHECK(found == test::sql_content().found);
}

TEST_CASE("the first difference between the manifest's counts and a dump's is named") {
  const Json counted =
      *parse_json(R"([{"name":"a","extensions":["x"],"rows":3,"tables":{"t":1,"u":2}},
                                       {"name":"b","extensions":[],"rows":0,"tables":{}}])");
  const auto difference = [&](const std::function<void(Json&)>& change) {
    Json said = counted;
    change(said);
    return service::database_difference(said, counted);
  };
  CHECK(difference([](Json& said) { said[0]["tables"]["u"] = 3; }) ==
        "database a: it has tables u: 2, and the manifest says 3");
  CHECK(difference([](Json& said) { said[0]["tables"].erase("t"); }) ==
        "database a: it has tables t: 1, and the manifest says nothing");
  CHECK(difference([](Json& said) { said[0]["tables"]["v"] = 9; }) ==
        "database a: it has tables v: nothing, and the manifest says 9");
  CHECK(difference([](Json& said) { said[0]["extensions"] = Json::array(); }) ==
        "database a: it has extensions: [\"x\"], and the manifest says []");
  CHECK(difference([](Json& said) { said[1]["name"] = "c"; }) ==
        "it has database b, and the manifest says c");
  CHECK(difference([](Json& said) { said.erase(1); }) ==
        "it has 2 databases, and the manifest says 1");
  CHECK(difference([](Json& said) { said = "all"; }) == "the manifest does not say its databases");
}

}  // namespace bba::services::postgres
