// Puts a container in the place of another one: both stay, and exchange their names. What was put
// aside is called <name>-replaced-<time>, and no lookup takes it for the service.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bba/base/json.hpp"
#include "bba/base/time.hpp"
#include "bba/docker/engine.hpp"

namespace bba::run {

struct Replacement {
  std::string old_id;  // has `name` before, and `aside` afterwards; empty: there is none
  std::string new_id;  // the other way round; empty while it is not made yet
  std::string name;
  std::string aside;
  Json restart_policy;  // of the new one once it is in its place; until then it is "no"
};
Json to_json(const Replacement& replacement);
// nullopt where a field is missing.
std::optional<Replacement> replacement_from(const Json& json);

std::string name_of_replaced(const std::string& name, Timestamp time);
bool is_name_of_replaced(std::string_view name);

// Whether the new one has the name.
bool is_replaced(docker::Engine& engine, const Replacement& replacement);
// Exchanges the names, from wherever an earlier try has come to. One that is gone has none. Throws
// docker::ApiError where somebody else has the name.
void replace(docker::Engine& engine, const Replacement& replacement);
// Back again.
void reverse_replacement(docker::Engine& engine, const Replacement& replacement);

}  // namespace bba::run
