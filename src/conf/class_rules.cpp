// Which class a module belongs to, and the sentence that says why.
#include "bba/base/text.hpp"
#include "bba/conf/config.hpp"

namespace bba::conf {

std::string image_repository(const std::string& image) {
  std::string_view name = image;
  name = name.substr(0, name.find('@'));
  // A colon before the last slash belongs to the registry's port.
  const std::size_t slash = name.rfind('/');
  const std::size_t tag = name.find(':', slash == name.npos ? 0 : slash);
  name = name.substr(0, tag);
  const std::size_t first = name.find('/');
  if (first != name.npos) {
    const std::string_view host = name.substr(0, first);
    if (host.find_first_of(".:") != host.npos || host == "localhost") name.remove_prefix(first + 1);
  }
  if (name.starts_with("library/")) name.remove_prefix(std::string_view("library/").size());
  return std::string(name);
}

std::optional<ClassChoice> choose_class(const std::vector<ClassRule>& rules,
                                        const std::string& module_id, const std::string& image) {
  for (const ClassRule& rule : rules) {
    for (const std::string& pattern : rule.modules) {
      if (!glob_match(pattern, module_id)) continue;
      return ClassChoice{rule.module_class, fmt::format("module name matches {} (class {})",
                                                        pattern, rule.module_class)};
    }
  }
  const std::string repository = image_repository(image);
  for (const ClassRule& rule : rules) {
    for (const std::string& pattern : rule.images) {
      if (repository.empty() || !glob_match(pattern, repository)) continue;
      return ClassChoice{rule.module_class, fmt::format("image {} matches {} (class {})",
                                                        repository, pattern, rule.module_class)};
    }
  }
  return std::nullopt;
}

}  // namespace bba::conf
