#include "bba/base/module_id.hpp"

#include <algorithm>

namespace bba {
namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

bool valid_module_id(std::string_view id) {
  if (id.empty() || id.size() > 100 || !is_alphanumeric(id.front())) return false;
  if (id.find("..") != std::string_view::npos) return false;
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace bba
