#include "bba/base/module_id.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

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

void require_module_id(const std::string& id) {
  if (valid_module_id(id)) return;
  throw Error(ErrorKind::config, fmt::format("\"{}\" is not a module id", id), module_id_rule);
}

}  // namespace bba
