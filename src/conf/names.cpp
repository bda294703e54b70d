#include "names.hpp"

#include "bba/base/error.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"

namespace bba::conf {

void require_module_id(const std::string& id) {
  if (valid_module_id(id)) return;
  throw Error(ErrorKind::config, fmt::format("\"{}\" is not a module id", id), module_id_rule);
}

bool valid_container_name(std::string_view name) {
  constexpr std::string_view first =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr std::string_view all =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !name.empty() && first.find(name.front()) != first.npos &&
         name.find_first_not_of(all) == name.npos;
}

}  // namespace bba::conf
