#include "bba/conf/config.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "bba/base/error.hpp"
#include "bba/base/module_id.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/base/time.hpp"
#include "files.hpp"
#include "names.hpp"
#include "yaml.hpp"

namespace bba::conf {
namespace {

using yaml::Node;

// The error for a word that is not one of a fixed set.
Error unknown_word(const Node& node, std::string_view what, const std::string& word,
                   std::span<const std::string> known) {
  const std::vector<std::string> near = nearest(word, known, 1);
  return node.error(fmt::format("{} \"{}\"", what, word),
                    near.empty() ? fmt::format("one of: {}", join(known, ", "))
                                 : fmt::format("did you mean \"{}\"?", near.front()));
}

// A mapping whose keys are known in advance. Reads each key at most once, into a variable of its
// type.
class Section {
 public:
  Section(const Node& node, std::vector<std::string> known) : entries_(node.entries()) {
    for (const auto& [key, value] : entries_) {
      if (std::find(known.begin(), known.end(), key.raw()) == known.end()) {
        throw unknown_word(key, "unknown key", key.raw(), known);
      }
    }
  }

  template <class Target, class Reader>
  void read(std::string_view name, Target& target, Reader reader) const {
    for (const auto& [key, value] : entries_) {
      if (key.raw() == name) target = reader(value);
    }
  }

 private:
  std::vector<std::pair<Node, Node>> entries_;
};

// Text for paths, argv and messages: not empty, and nothing that breaks a terminal or a C
// string.
std::string line(const Node& node) {
  const std::string& text = node.text();
  if (text.empty()) throw node.error("must not be empty");
  if (printable(text) != text) throw node.error("must be one line without control characters");
  return text;
}

template <class Reader>
auto list(Reader reader) {
  return [reader](const Node& node) {
    std::vector<std::string> values;
    for (const Node& item : node.items()) values.push_back(reader(item));
    return values;
  };
}

std::string absolute_path(const Node& node) {
  const std::string path = line(node);
  if (path.front() != '/') throw node.error(fmt::format("\"{}\" is not an absolute path", path));
  const std::optional<std::string> normal = normal_path(path);
  if (!normal) throw node.error(fmt::format("\"{}\" must not contain \"..\"", path));
  return *normal;
}

std::string engine_host(const Node& node) {
  const std::string host = line(node);
  if (!host.starts_with("unix:///") && !host.starts_with('/')) {
    throw node.error(fmt::format("\"{}\" is not a unix socket", host),
                     "for example unix:///var/run/docker.sock");
  }
  return host;
}

std::string container_name(const Node& node) {
  const std::string name = line(node);
  if (!valid_container_name(name)) {
    throw node.error(fmt::format("\"{}\" is not a container name", name));
  }
  return name;
}

// Given to programs as an argument of its own; a dash would make it an option.
std::string user_name(const Node& node) {
  const std::string name = line(node);
  if (name.front() == '-') throw node.error("a user's name must not begin with a dash");
  return name;
}

std::string environment_name(const Node& node) {
  const std::string name = line(node);
  const auto allowed = [](char c) {
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (!std::all_of(name.begin(), name.end(), allowed) ||
      (name.front() >= '0' && name.front() <= '9')) {
    throw node.error(fmt::format("\"{}\" is not a name of an environment variable", name),
                     "names only; the values are taken from the operator's environment");
  }
  return name;
}

auto one_of(std::vector<std::string> words) {
  return [words = std::move(words)](const Node& node) {
    const std::string word = line(node);
    if (std::find(words.begin(), words.end(), word) == words.end()) {
      throw unknown_word(node, "unknown value", word, words);
    }
    return word;
  };
}

// `known`: the letters of the classes.
auto module_class(std::string_view known) {
  return [known](const Node& node) {
    const std::string& letter = node.text();
    if (letter.size() != 1 || known.find(letter.front()) == known.npos) {
      std::vector<std::string> letters;
      for (const char one : known) letters.emplace_back(1, one);
      throw node.error(fmt::format("\"{}\" is not a class", letter),
                       "one of " + join(letters, ", "));
    }
    return letter.front();
  };
}

auto duration_up_to(std::chrono::seconds most) {
  return [most](const Node& node) {
    if (node.kind() == yaml::Kind::number) {
      throw node.error("a time needs a unit", fmt::format("write \"{}s\" for seconds", node.raw()));
    }
    const std::string& text = node.text();
    const std::optional<std::chrono::seconds> span = parse_duration(text);
    if (!span)
      throw node.error(fmt::format("\"{}\" is not a span of time", text),
                       "for example 90s, 15m, 1h30m");
    if (span->count() == 0 || *span > most) {
      throw node.error(fmt::format("\"{}\" is not between 1s and {}", text, format_duration(most)));
    }
    return *span;
  };
}

// 0.8 or 80%.
double share(const Node& node) {
  double value = 0;
  if (node.kind() == yaml::Kind::number) {
    value = node.number();
  } else {
    const std::string& text = node.text();
    const std::size_t digits = text.find_first_not_of("0123456789");
    if (digits == 0 || digits > 3 || text.substr(std::min(digits, text.size())) != "%") {
      throw node.error(fmt::format("\"{}\" is not a share", text), "for example 80% or 0.8");
    }
    value = std::stoi(text.substr(0, digits)) / 100.0;
  }
  if (value < 0 || value > 1) throw node.error("a share is between 0 and 1, or 0% and 100%");
  return value;
}

std::vector<ClassRule> class_rules(const Node& node, std::string_view known) {
  std::vector<ClassRule> rules;
  for (const Node& item : node.items()) {
    const Section section(item, {"class", "modules", "images"});
    if (!item.find("class")) throw item.error("a rule needs a class");
    ClassRule& rule = rules.emplace_back();
    section.read("class", rule.module_class, module_class(known));
    section.read("modules", rule.modules, list(line));
    section.read("images", rule.images, list(line));
    if (rule.modules.empty() && rule.images.empty()) {
      throw item.error("a rule needs modules, images, or both");
    }
  }
  if (rules.empty()) throw node.error("no rule", "leave class_rules out to use the built-in table");
  return rules;
}

ModuleSettings module_settings(const Node& node, std::string_view known) {
  const Section section(node, {"class", "container", "paths", "excludes", "consistency", "user",
                               "env", "compose_root"});
  ModuleSettings settings;
  section.read("class", settings.module_class, module_class(known));
  section.read("container", settings.container, container_name);
  section.read("paths", settings.paths, list(absolute_path));
  section.read("excludes", settings.excludes, list(line));
  section.read("consistency", settings.consistency, one_of({"auto", "pause", "stop", "live"}));
  section.read("user", settings.user, user_name);
  section.read("env", settings.env, list(environment_name));
  section.read("compose_root", settings.compose_root, absolute_path);
  return settings;
}

std::map<std::string, ModuleSettings> module_map(const Node& node, std::string_view known) {
  std::map<std::string, ModuleSettings> modules;
  for (const auto& [key, value] : node.entries()) {
    if (!valid_module_id(key.raw())) {
      throw key.error(fmt::format("\"{}\" is not a module id", key.raw()), module_id_rule);
    }
    modules.emplace(key.raw(), module_settings(value, known));
  }
  return modules;
}

Config config_from(const yaml::Document& document, std::string_view known) {
  Config config;
  const Node root = document.root();
  if (root.is_null()) return config;  // nothing, or all of it commented out
  constexpr std::chrono::seconds year = std::chrono::hours(24 * 365);
  const Section section(
      root, {"platform_root", "backup_dir", "state_dir", "proof_dir", "host", "compression",
             "consistency", "connect_timeout", "silence_timeout", "timeout", "lock_wait_timeout",
             "max_shrink", "class_rules", "modules"});
  section.read("platform_root", config.platform_root, absolute_path);
  section.read("backup_dir", config.backup_dir, absolute_path);
  section.read("state_dir", config.state_dir, absolute_path);
  section.read("proof_dir", config.proof_dir, absolute_path);
  section.read("host", config.host, engine_host);
  section.read("compression", config.compression, one_of({"gzip", "zstd"}));
  section.read("consistency", config.consistency, one_of({"auto", "pause", "stop", "live"}));
  section.read("connect_timeout", config.connect_timeout, duration_up_to(year));
  section.read("silence_timeout", config.silence_timeout, duration_up_to(year));
  section.read("timeout", config.timeout, duration_up_to(year));
  // PostgreSQL takes milliseconds in 31 bits.
  section.read("lock_wait_timeout", config.lock_wait_timeout,
               duration_up_to(std::chrono::hours(24 * 24)));
  section.read("max_shrink", config.max_shrink, share);
  section.read("class_rules", config.class_rules,
               [known](const Node& node) { return class_rules(node, known); });
  section.read("modules", config.modules,
               [known](const Node& node) { return module_map(node, known); });
  return config;
}

}  // namespace

Config load_config(const std::string& path, bool must_exist, std::string_view classes) {
  if (!must_exist && !exists(path)) return {};
  return config_from(yaml::read_document(path), classes);
}

Config parse_config(const std::string& text, const std::string& file_name,
                    std::string_view classes) {
  return config_from(yaml::Document(text, file_name), classes);
}

}  // namespace bba::conf
