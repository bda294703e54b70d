#include "dump_found.hpp"

namespace bba::services::postgres {

Json dump_found(const DumpCheck& check) {
  Json databases = Json::array();
  for (const DumpDatabase& one : check.databases()) {
    databases.push_back(
        service::database_found(one, {{"extensions", one.extensions},
                                      {"large_objects", one.large_objects},
                                      {"large_object_bytes", one.large_object_bytes}}));
  }
  return {{"databases", std::move(databases)}};
}

}  // namespace bba::services::postgres
