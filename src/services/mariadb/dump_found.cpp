#include "dump_found.hpp"

#include <algorithm>

#include "bba/base/text.hpp"

namespace bba::services::mariadb {

namespace {

std::string name_of(const Json& database) {
  return string_member(database, "name").value_or("");
}

std::string shown(const Json* value) {
  return value == nullptr ? "nothing" : dump_json(*value);
}

// The first key of either object whose values differ, and both values.
std::string key_difference(const Json& said, const Json& counted) {
  for (const auto& [key, value] : counted.items()) {
    const Json* other = member(said, key);
    if (other != nullptr && *other == value) continue;
    if (other != nullptr && value.is_object() && other->is_object()) {
      return key + " " + key_difference(*other, value);
    }
    return fmt::format("{}: {}, and the manifest says {}", key, dump_json(value), shown(other));
  }
  for (const auto& [key, value] : said.items()) {
    if (member(counted, key) != nullptr) continue;
    return fmt::format("{}: nothing, and the manifest says {}", key, dump_json(value));
  }
  return "its parts are in another order than the manifest says";
}

}  // namespace

Json dump_found(const DumpCheck& check) {
  Json databases = Json::array();
  for (const DumpDatabase& one : check.databases()) {
    Json tables = Json::object();
    // Not by key, which would look through all of them each time.
    auto& pairs = tables.get_ref<Json::object_t&>();
    for (const auto& [table, rows] : one.tables) pairs.emplace_back(table, rows);
    Json database = {{"name", one.name},         {"views", one.views},
                     {"routines", one.routines}, {"events", one.events},
                     {"triggers", one.triggers}, {"sequences", one.sequences},
                     {"rows", one.rows},         {"tables", std::move(tables)}};
    if (one.tables_left_out > 0) database["tables_left_out"] = one.tables_left_out;
    databases.push_back(std::move(database));
  }
  return {{"databases", std::move(databases)}};
}

std::string database_difference(const Json& said, const Json& counted) {
  if (!said.is_array() || !counted.is_array()) return "the manifest does not say its databases";
  const std::size_t both = std::min(said.size(), counted.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (said[i] == counted[i]) continue;
    if (name_of(said[i]) != name_of(counted[i])) {
      return fmt::format("it has database {}, and the manifest says {}", name_of(counted[i]),
                         name_of(said[i]));
    }
    return fmt::format("database {}: it has {}", name_of(counted[i]),
                       key_difference(said[i], counted[i]));
  }
  return fmt::format("it has {} databases, and the manifest says {}", counted.size(), said.size());
}

}  // namespace bba::services::mariadb
