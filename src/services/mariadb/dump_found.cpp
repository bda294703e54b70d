#include "dump_found.hpp"

namespace bba::services::mariadb {

Json dump_found(const DumpCheck& check) {
  Json databases = Json::array();
  for (const DumpDatabase& one : check.databases()) {
    databases.push_back(service::database_found(one, {{"views", one.views},
                                                      {"routines", one.routines},
                                                      {"events", one.events},
                                                      {"triggers", one.triggers},
                                                      {"sequences", one.sequences}}));
  }
  return {{"databases", std::move(databases)}};
}

}  // namespace bba::services::mariadb
