#include "bba/service/dumped_databases.hpp"

namespace bba::service {

Json database_found(const DumpedDatabase& database, const Json& own) {
  Json tables = Json::object();
  // Not by key, which would look through all of them each time.
  auto& pairs = tables.get_ref<Json::object_t&>();
  for (const auto& [table, rows] : database.tables) pairs.emplace_back(table, rows);
  Json found = {{"name", database.name}};
  found.update(own);
  found["rows"] = database.rows;
  found["tables"] = std::move(tables);
  if (database.tables_left_out > 0) found["tables_left_out"] = database.tables_left_out;
  return found;
}

}  // namespace bba::service
