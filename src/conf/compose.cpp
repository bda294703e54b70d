// compose/{apps,core,edge,base}/compose.yaml: the services, and the names of the projects, as far
// as a backup needs them.
#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "files.hpp"
#include "yaml.hpp"

namespace bba::conf {
namespace {

using yaml::Node;
namespace fs = std::filesystem;

constexpr std::array stacks{"apps", "core", "edge", "base"};
constexpr std::size_t max_include_depth = 32;
constexpr std::size_t max_files = 200;

// Compose fills in ${NAME} and $NAME before it reads anything; here they stay as they are written.
bool has_variable(std::string_view text) {
  return text.find('$') != text.npos;
}

// A volume's name has no slash, so a source with one is a path, whatever its variables hold.
bool is_path(std::string_view source) {
  return source.starts_with('.') || source.starts_with('~') || source.find('/') != source.npos;
}

// Splits at the colons that are not part of ${NAME:-default}.
std::vector<std::string> split_short_volume(std::string_view text) {
  std::vector<std::string> parts(1);
  std::size_t braces = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) ++braces;
    if (text[i] == '}' && braces > 0) --braces;
    if (text[i] == ':' && braces == 0) {
      parts.emplace_back();
    } else {
      parts.back() += text[i];
    }
  }
  return parts;
}

ComposeVolume short_volume(const Node& node) {
  const std::vector<std::string> parts = split_short_volume(node.text());
  const bool anonymous = parts.size() == 1;
  ComposeVolume volume;
  volume.source = anonymous ? "" : parts[0];
  volume.target = anonymous ? parts[0] : parts[1];
  if (parts.size() > 3 || volume.target.empty() || (!anonymous && volume.source.empty())) {
    throw node.error(fmt::format("\"{}\" is not a volume", node.text()),
                     "SOURCE:TARGET, SOURCE:TARGET:ro, or TARGET alone");
  }
  volume.type = is_path(volume.source) ? "bind" : "volume";
  if (parts.size() == 3) {
    const std::vector<std::string_view> options = split(parts[2], ',');
    volume.read_only = std::find(options.begin(), options.end(), "ro") != options.end();
  }
  return volume;
}

ComposeVolume long_volume(const Node& node) {
  ComposeVolume volume;
  const auto type = node.find("type");
  const auto target = node.find("target");
  if (!type) throw node.error("a volume needs a type");
  if (!target) throw node.error("a volume needs a target");
  volume.type = type->text();
  volume.target = target->text();
  if (const auto source = node.find("source")) volume.source = source->text();
  if (const auto read_only = node.find("read_only")) {
    const bool unknown = read_only->kind() == yaml::Kind::text && has_variable(read_only->text());
    volume.read_only = !unknown && read_only->boolean();
  }
  return volume;
}

// The services of one stack, by name: what is read later overrides what was read before.
class Stack {
 public:
  explicit Stack(std::string name) : name_(std::move(name)) {}

  void read(const fs::path& path) { read(path, nullptr); }
  std::map<std::string, ComposeService> take() { return std::move(services_); }
  // As Compose calls it; nullopt where that is not known.
  const std::optional<std::string>& project() const { return project_; }

 private:
  void read(const fs::path& path, const Node* include) {
    std::error_code failure;
    const fs::path canonical = fs::canonical(path, failure);
    if (failure) {
      const std::string what = fmt::format("{}: {}", path.string(), failure.message());
      throw include ? include->error(what) : Error(ErrorKind::config, what);
    }
    if (include && std::find(open_.begin(), open_.end(), canonical) != open_.end()) {
      throw include->error(fmt::format("{} includes itself", canonical.string()));
    }
    if (!read_.insert(canonical).second) return;
    if (open_.size() == max_include_depth || read_.size() > max_files) {
      throw Error(ErrorKind::config, fmt::format("{}: more than {} files, or nested deeper than {}",
                                                 path.string(), max_files, max_include_depth));
    }
    open_.push_back(canonical);
    const yaml::Document document = yaml::read_document(path.string());
    const Node root = document.root();
    if (!include) name_project(root);
    if (const auto includes = root.find("include")) {
      for (const Node& item : includes->items()) follow(item, path.parent_path());
    }
    if (const auto services = root.find("services")) {
      for (const auto& [key, value] : services->entries()) add(key.raw(), value);
    }
    open_.pop_back();
  }

  // The `name` in the file, or else that of its directory, which is the stack's.
  void name_project(const Node& root) {
    const auto name = root.find("name");
    const std::string written = name ? name->text() : std::string();
    if (written.empty()) {
      project_ = name_;
    } else if (!has_variable(written)) {
      project_ = written;
    }
  }

  // An entry of `include`: a path, or a mapping whose `path` is one path or several.
  void follow(const Node& item, const fs::path& directory) {
    if (item.kind() != yaml::Kind::mapping) return follow_path(item, directory);
    const auto path = item.find("path");
    if (!path) throw item.error("an include needs a path");
    if (path->kind() != yaml::Kind::sequence) return follow_path(*path, directory);
    for (const Node& each : path->items()) follow_path(each, directory);
  }

  void follow_path(const Node& node, const fs::path& directory) {
    const std::string& path = node.text();
    if (has_variable(path) || path.find("://") != path.npos || path.starts_with("git@") ||
        path.starts_with("oci:")) {
      throw node.error(fmt::format("cannot follow the include \"{}\"", path),
                       "only paths of files without variables are followed");
    }
    read((directory / path).lexically_normal(), &node);
  }

  void add(const std::string& name, const Node& node) {
    ComposeService& service = services_[name];
    service.name = name;
    service.stack = name_;
    if (node.is_null()) return;
    if (const auto value = node.find("container_name")) service.container_name = value->text();
    if (const auto value = node.find("image")) service.image = value->text();
    const auto volumes = node.find("volumes");
    if (!volumes) return;
    std::vector<ComposeVolume> added;
    std::set<std::string> targets;
    for (const Node& item : volumes->items()) {
      added.push_back(item.kind() == yaml::Kind::mapping ? long_volume(item) : short_volume(item));
      targets.insert(added.back().target);
    }
    std::erase_if(service.volumes,
                  [&](const ComposeVolume& other) { return targets.contains(other.target); });
    std::move(added.begin(), added.end(), std::back_inserter(service.volumes));
  }

  std::string name_;
  std::optional<std::string> project_;
  std::map<std::string, ComposeService> services_;
  std::vector<fs::path> open_;  // from the stack's own file to the one that is being read
  std::set<fs::path> read_;
};

}  // namespace

Compose load_compose(const std::string& root, std::vector<std::string>& problems) {
  Compose compose;
  for (const std::string name : stacks) {
    const fs::path path = fs::path(root) / "compose" / name / "compose.yaml";
    Stack stack(name);
    try {
      if (exists(path.string())) stack.read(path);
    } catch (const Error& error) {
      // Only this stack is not read any further.
      problems.emplace_back(error.what());
    }
    if (stack.project()) compose.projects.push_back(*stack.project());
    for (auto& [key, service] : stack.take()) compose.services.push_back(std::move(service));
  }
  return compose;
}

}  // namespace bba::conf
