#include "bba/wire/message.hpp"

#include <charconv>
#include <utility>

#include "bba/base/text.hpp"

namespace bba::wire {

namespace {

std::string text_of(const Json& object, std::string_view key) {
  return string_member(object, key).value_or("");
}

bool flag_of(const Json& object, std::string_view key) {
  return bool_member(object, key).value_or(false);
}

std::vector<std::string> texts_of(const Json& object, std::string_view key) {
  std::vector<std::string> texts;
  const Json* list = member(object, key);
  if (list == nullptr || !list->is_array()) return texts;
  for (const Json& item : *list) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

Json object_of(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_object() ? *value : Json::object();
}

std::map<std::string, std::string> text_map_of(const Json& object, std::string_view key) {
  std::map<std::string, std::string> texts;
  const Json* values = member(object, key);
  if (values == nullptr || !values->is_object()) return texts;
  for (const auto& [name, value] : values->items()) {
    if (value.is_string()) texts.insert_or_assign(name, value.get<std::string>());
  }
  return texts;
}

Labels labels_of(const Json& object) {
  return text_map_of(object, "Labels");
}

std::vector<Mount> mounts_of(const Json& object) {
  std::vector<Mount> mounts;
  const Json* list = member(object, "Mounts");
  if (list == nullptr || !list->is_array()) return mounts;
  for (const Json& item : *list) {
    if (!item.is_object()) continue;
    mounts.push_back({.type = text_of(item, "Type"),
                      .name = text_of(item, "Name"),
                      .source = text_of(item, "Source"),
                      .destination = text_of(item, "Destination"),
                      .rw = bool_member(item, "RW").value_or(true)});
  }
  return mounts;
}

std::string without_slash(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}

// The object that `body` is, if it is one.
std::optional<Json> parse_object(std::string_view body) {
  std::optional<Json> value = parse_json(body);
  if (value && !value->is_object()) value.reset();
  return value;
}

using ApiVersion = std::pair<unsigned, unsigned>;

std::optional<ApiVersion> parse_api_version(std::string_view text) {
  ApiVersion version;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.first);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.second);
  if (minor.ec != std::errc{} || minor.ptr != end) return std::nullopt;
  return version;
}

}  // namespace

std::optional<Version> parse_version(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  Version version{.version = text_of(*object, "Version"),
                  .api_version = text_of(*object, "ApiVersion"),
                  .min_api_version = text_of(*object, "MinAPIVersion")};
  if (!parse_api_version(version.api_version)) return std::nullopt;
  return version;
}

int compare_api_versions(std::string_view a, std::string_view b) {
  const ApiVersion left = parse_api_version(a).value_or(ApiVersion{});
  const ApiVersion right = parse_api_version(b).value_or(ApiVersion{});
  if (left == right) return 0;
  return left < right ? -1 : 1;
}

std::optional<Info> parse_info(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  return Info{.name = text_of(*object, "Name"),
              .docker_root_dir = text_of(*object, "DockerRootDir"),
              .security_options = texts_of(*object, "SecurityOptions")};
}

std::optional<std::vector<ContainerSummary>> parse_container_list(std::string_view body) {
  const std::optional<Json> list = parse_json(body);
  if (!list || !list->is_array()) return std::nullopt;
  std::vector<ContainerSummary> containers;
  for (const Json& item : *list) {
    ContainerSummary container{.id = text_of(item, "Id"),
                               .names = texts_of(item, "Names"),
                               .image = text_of(item, "Image"),
                               .state = text_of(item, "State"),
                               .labels = labels_of(item),
                               .mounts = mounts_of(item)};
    if (container.id.empty()) return std::nullopt;
    for (std::string& name : container.names) name = without_slash(std::move(name));
    containers.push_back(std::move(container));
  }
  return containers;
}

bool is_up(const ContainerSummary& container) {
  return container.state == "running" || container.state == "paused" ||
         container.state == "restarting";
}

std::string name_of(const ContainerSummary& container) {
  return container.names.empty() ? container.id.substr(0, 12) : container.names.front();
}

std::optional<Container> parse_container(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  const Json state = object_of(*object, "State");
  Container container;
  container.id = text_of(*object, "Id");
  // Whether it runs decides what is paused: an answer that does not say is not an answer.
  if (container.id.empty() || !bool_member(state, "Running")) return std::nullopt;
  container.name = without_slash(text_of(*object, "Name"));
  container.image = text_of(*object, "Image");
  container.state = text_of(state, "Status");
  container.running = flag_of(state, "Running");
  container.paused = flag_of(state, "Paused");
  container.restarting = flag_of(state, "Restarting");
  container.pid = int_member(state, "Pid").value_or(0);
  container.exit_code = int_member(state, "ExitCode").value_or(0);
  container.health = text_of(object_of(state, "Health"), "Status");
  if (container.health == "none") container.health.clear();
  container.mounts = mounts_of(*object);
  container.host_config = object_of(*object, "HostConfig");
  container.auto_remove = flag_of(container.host_config, "AutoRemove");
  container.readonly_rootfs = flag_of(container.host_config, "ReadonlyRootfs");
  container.networks = object_of(object_of(*object, "NetworkSettings"), "Networks");
  container.config = object_of(*object, "Config");
  container.config_image = text_of(container.config, "Image");
  container.user = text_of(container.config, "User");
  container.working_dir = text_of(container.config, "WorkingDir");
  container.env = texts_of(container.config, "Env");
  container.entrypoint = texts_of(container.config, "Entrypoint");
  container.cmd = texts_of(container.config, "Cmd");
  container.labels = labels_of(container.config);
  return container;
}

std::optional<std::string> env_value(const Container& container, std::string_view name) {
  std::optional<std::string> value;
  for (const std::string& entry : container.env) {
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name)) {
      value = entry.substr(name.size() + 1);
    }
  }
  return value;
}

std::optional<Image> parse_image(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  Image image{.id = text_of(*object, "Id"), .repo_digests = texts_of(*object, "RepoDigests")};
  if (image.id.empty()) return std::nullopt;
  return image;
}

std::optional<Volume> parse_volume(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  Volume volume{.name = text_of(*object, "Name"),
                .driver = text_of(*object, "Driver"),
                .mountpoint = text_of(*object, "Mountpoint"),
                .labels = labels_of(*object),
                .options = text_map_of(*object, "Options")};
  if (volume.name.empty()) return std::nullopt;
  return volume;
}

std::string to_body(const ExecConfig& config) {
  Json body = {{"AttachStdin", config.attach_stdin},
               {"AttachStdout", true},
               {"AttachStderr", true},
               {"Tty", false},
               {"Cmd", config.argv}};
  if (!config.env.empty()) {
    Json env = Json::array();
    for (const EnvVar& variable : config.env) env.push_back(variable.name + "=" + variable.value);
    body["Env"] = std::move(env);
  }
  if (!config.user.empty()) body["User"] = config.user;
  if (!config.working_dir.empty()) body["WorkingDir"] = config.working_dir;
  return dump_json(body);
}

std::optional<ExecStatus> parse_exec_status(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  const std::optional<bool> running = bool_member(*object, "Running");
  if (!running) return std::nullopt;
  return ExecStatus{.running = *running,
                    .exit_code = int_member(*object, "ExitCode"),
                    .pid = int_member(*object, "Pid").value_or(0),
                    .container_id = text_of(*object, "ContainerID")};
}

std::optional<std::string> parse_id(std::string_view body) {
  const std::optional<Json> object = parse_object(body);
  if (!object) return std::nullopt;
  std::optional<std::string> id = string_member(*object, "Id");
  if (id && id->empty()) id.reset();
  return id;
}

std::string error_message(std::string_view body) {
  constexpr std::size_t longest = 500;
  std::string text(body);
  if (const std::optional<Json> object = parse_object(body)) {
    if (std::optional<std::string> message = string_member(*object, "message")) {
      text = std::move(*message);
    }
  }
  text = printable(trimmed(text));
  if (text.size() > longest) {
    // printable() gives whole UTF-8 sequences: step back to the start of one.
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
    text.resize(end);
  }
  return text;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view unreserved =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (unreserved.find(c) != std::string_view::npos) {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace bba::wire
