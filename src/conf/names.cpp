#include "names.hpp"

namespace bba::conf {

bool valid_container_name(std::string_view name) {
  constexpr std::string_view first =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  constexpr std::string_view all =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  return !name.empty() && first.find(name.front()) != first.npos &&
         name.find_first_not_of(all) == name.npos;
}

}  // namespace bba::conf
