// Containers that exchange their names, from wherever an earlier try has come to.
#include "bba/run/replace_container.hpp"

#include <map>

#include <doctest/doctest.h>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "fake_engine.hpp"

using namespace bba;
using namespace bba::run;

namespace {

const Replacement replacement{"old", "new", "db", "db-replaced-20261123T120000Z",
                              Json{{"Name", "always"}}};

// An engine whose two containers have these names; empty: there is none.
struct NamesFixture {
  NamesFixture(const std::string& old_name, const std::string& new_name) {
    for (const auto& [id, name] : {std::pair{"old", old_name}, {"new", new_name}}) {
      const Json json{
          {"Id", id}, {"Name", "/" + name}, {"Image", "sha256:a"}, {"State", {{"Running", false}}}};
      fake.on(fmt::format("GET /containers/{}/json", id),
              {test::send(name.empty() ? test::answer(404, R"({"message":"no such container"})")
                                       : test::answer(200, dump_json(json)))});
      fake.on(fmt::format("POST /containers/{}/rename", id), {test::send(test::answer(204, ""))});
    }
  }
  // "old NAME", in order.
  std::vector<std::string> renames() const {
    std::vector<std::string> calls;
    for (const test::SeenRequest& seen : fake.requests()) {
      if (seen.method != "POST") continue;
      const bool is_old = seen.target.find("/old/") != std::string::npos;
      calls.push_back((is_old ? "old " : "new ") + seen.target.substr(seen.target.find('=') + 1));
    }
    return calls;
  }

  test::FakeEngine fake;
  docker::Engine engine{fake.socket_path(), {}, nullptr};
};
using Calls = std::vector<std::string>;

}  // namespace

TEST_CASE("name of what was replaced: with the time, and told apart from any other") {
  const auto time = parse_compact("20261123T120000Z").value();
  CHECK(name_of_replaced("db", time) == "db-replaced-20261123T120000Z");
  CHECK(is_name_of_replaced("db-replaced-20261123T120000Z"));
  for (const char* name : {"db", "db-replaced-", "db-replaced-1", "-replaced-20261123T120000Z",
                           "db-replaced-20261123T120000Z-1"}) {
    CAPTURE(name);
    CHECK_FALSE(is_name_of_replaced(name));
  }
}

TEST_CASE("replacement: it is read back from JSON, and refused where a field is missing") {
  const Json json = to_json(replacement);
  const auto read = replacement_from(json);
  REQUIRE(read);
  CHECK(to_json(*read) == json);
  for (const auto& [key, value] : json.items()) {
    Json less = json;
    less.erase(key);
    CAPTURE(key);
    CHECK_FALSE(replacement_from(less));
  }
}

TEST_CASE("replace: both names are taken, so the old one gets a third for a moment") {
  NamesFixture names("db", replacement.aside);
  replace(names.engine, replacement);
  // The engine here does not change the names that it tells.
  const Calls calls = names.renames();
  REQUIRE(calls.size() >= 2);
  CHECK(calls[0] == "old db-replaced-20261123T120000Z-old");
  CHECK(calls[1] == "new db");
}

TEST_CASE("replace: what was done by an earlier try is not done again") {
  SUBCASE("all of it") {
    NamesFixture names(replacement.aside, "db");
    replace(names.engine, replacement);
    CHECK(names.renames() == Calls{});
    CHECK(is_replaced(names.engine, replacement));
  }
  SUBCASE("the new one has its name") {
    NamesFixture names(replacement.aside + "-old", "db");
    replace(names.engine, replacement);
    CHECK(names.renames() == Calls{"old " + replacement.aside});
  }
  SUBCASE("the name is free") {
    NamesFixture names(replacement.aside + "-old", replacement.aside);
    replace(names.engine, replacement);
    CHECK(names.renames() == Calls{"new db", "old " + replacement.aside});
  }
  SUBCASE("the old one is gone") {
    NamesFixture names("", replacement.aside);
    replace(names.engine, replacement);
    CHECK(names.renames() == Calls{"new db"});
  }
}

TEST_CASE("replace: the new one is gone, and the old one is put aside nevertheless") {
  NamesFixture names("db", "");
  replace(names.engine, replacement);
  CHECK(names.renames() == Calls{"old " + replacement.aside});
  CHECK_FALSE(is_replaced(names.engine, replacement));
}

TEST_CASE("reverse: the old one has the name again, though the new one is gone") {
  NamesFixture names(replacement.aside, "");
  reverse_replacement(names.engine, replacement);
  CHECK(names.renames() == Calls{"old db"});
}

TEST_CASE("reverse: the old one is gone, and the new one gives the name back nevertheless") {
  NamesFixture names("", "db");
  reverse_replacement(names.engine, replacement);
  CHECK(names.renames() == Calls{"new " + replacement.aside});
}
