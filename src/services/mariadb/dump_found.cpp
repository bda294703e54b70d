#include "dump_found.hpp"

namespace bba::services::mariadb {

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

}  // namespace bba::services::mariadb
