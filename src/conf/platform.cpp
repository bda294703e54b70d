#include "bba/conf/platform.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <memory>
#include <sys/stat.h>

#include "bba/base/error.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "files.hpp"
#include "yaml.hpp"

namespace bba::conf {
namespace {

using yaml::Node;

std::string module_file(const std::string& root, const std::string& id) {
  return root + "/modules/" + id + "/module.yaml";
}

Statefulness statefulness(const Node& node) {
  const std::vector<std::string> words{"stateful", "stateless", "sidecar-bound"};
  const std::string& word = node.text();
  if (word == words[0]) return Statefulness::stateful;
  if (word == words[1]) return Statefulness::stateless;
  if (word == words[2]) return Statefulness::sidecar_bound;
  throw node.error(fmt::format("unknown statefulness \"{}\"", word),
                   fmt::format("one of: {}", join(words, ", ")));
}

void read_text(const Node& section, std::string_view key, std::string& target) {
  if (const auto value = section.find(key)) target = value->text();
}

Module module_from(const yaml::Document& document, const std::string& id) {
  Module module;
  module.id = id;
  const std::optional<Node> spec = document.root().find("spec");
  if (!spec) return module;
  if (const auto runtime = spec->find("runtime")) {
    if (const auto value = runtime->find("statefulness"))
      module.statefulness = statefulness(*value);
    read_text(*runtime, "host", module.host);
    read_text(*runtime, "image_observed", module.image_observed);
  }
  if (const auto release = spec->find("release")) {
    if (const auto references = release->find("backup_ref_modules")) {
      for (const Node& item : references->items()) {
        if (!valid_module_id(item.text())) {
          throw item.error(fmt::format("\"{}\" is not a module id", item.text()), module_id_rule);
        }
        module.backup_ref_modules.push_back(item.text());
      }
    }
  }
  return module;
}

// The names of the directories (or links to some) directly below <root>/modules, sorted.
std::vector<std::string> module_directories(const std::string& root) {
  const std::string path = root + "/modules";
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) throw system_error(ErrorKind::config, path, errno);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (name.front() != '.' && ::stat((path + "/" + name).c_str(), &status) == 0 &&
        S_ISDIR(status.st_mode)) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::optional<Module> load_module(const std::string& root, const std::string& id) {
  require_module_id(id);
  const std::string path = module_file(root, id);
  if (!exists(path)) return std::nullopt;
  return module_from(yaml::read_document(path), id);
}

std::vector<std::string> module_ids(const std::string& root) {
  if (!exists(root + "/modules")) return {};
  std::vector<std::string> ids = module_directories(root);
  std::erase_if(ids, [](const std::string& name) { return !valid_module_id(name); });
  return ids;
}

Platform load_platform(const std::string& root) {
  Platform platform;
  platform.root = root;
  const auto noting_problems = [&](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      platform.problems.emplace_back(error.what());
    }
  };
  std::vector<std::string> names;
  noting_problems([&] { names = module_directories(root); });
  for (const std::string& name : names) {
    noting_problems([&] {
      if (const auto module = load_module(root, name)) {
        platform.modules.emplace(name, *module);
      } else {
        platform.problems.push_back(fmt::format("{}: missing", module_file(root, name)));
      }
    });
  }
  for (const auto& [id, module] : platform.modules) {
    for (const std::string& reference : module.backup_ref_modules) {
      if (std::binary_search(names.begin(), names.end(), reference)) continue;
      platform.problems.push_back(
          fmt::format("{}: backup_ref_modules names {}, which is not a module",
                      module_file(root, id), reference));
    }
  }
  platform.compose = load_compose(root, platform.problems);
  return platform;
}

}  // namespace bba::conf
