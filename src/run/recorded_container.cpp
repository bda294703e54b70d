#include "bba/run/recorded_container.hpp"

#include <algorithm>
#include <array>

#include "bba/base/error.hpp"

namespace bba::run {

namespace {

constexpr int schema = 1;
constexpr std::size_t short_id = 12;

Json json_of(const std::vector<wire::Mount>& mounts) {
  Json list = Json::array();
  for (const wire::Mount& mount : mounts) {
    list.push_back({{"Type", mount.type},
                    {"Name", mount.name},
                    {"Source", mount.source},
                    {"Destination", mount.destination},
                    {"RW", mount.rw}});
  }
  return list;
}

// --- mounts

// Whether HostConfig.Binds says what is at `destination`: "SOURCE:DESTINATION[:OPTIONS]".
bool is_bound(const Json& host_config, const std::string& destination) {
  const Json* binds = member(host_config, "Binds");
  if (binds == nullptr || !binds->is_array()) return false;
  return std::any_of(binds->begin(), binds->end(), [&](const Json& bind) {
    if (!bind.is_string()) return false;
    const std::string text = bind.get<std::string>() + ':';
    return text.find(':' + destination + ':') != text.npos;
  });
}

// A new container gets new anonymous volumes, unless it names those of the other.
void name_volumes(const std::vector<wire::Mount>& mounts, Json& host_config) {
  Json named = Json::array();
  if (const Json* given = member(host_config, "Mounts"); given != nullptr && given->is_array()) {
    named = *given;
  }
  for (const wire::Mount& mount : mounts) {
    if (mount.type != "volume" || is_bound(host_config, mount.destination)) continue;
    const auto given = std::find_if(named.begin(), named.end(), [&](const Json& one) {
      return string_member(one, "Target") == mount.destination;
    });
    if (given == named.end()) {
      // As the engine gives it back, so that the container made from it is the same.
      Json one{{"Type", "volume"}, {"Source", mount.name}, {"Target", mount.destination}};
      if (!mount.rw) one["ReadOnly"] = true;
      named.push_back(std::move(one));
    } else if (string_member(*given, "Source").value_or("").empty()) {
      (*given)["Source"] = mount.name;
    }
  }
  if (!named.empty()) host_config["Mounts"] = std::move(named);
}

// --- networks

bool is_built_in(const std::string& network) {
  constexpr std::array built_in{"bridge", "host", "none", "default", "nat"};
  return std::find(built_in.begin(), built_in.end(), network) != built_in.end();
}

// What was asked for, without what the engine has made of it: addresses, ids, the alias that is the
// container's own id.
Json endpoint_of(const wire::Container& container, const Json& settings) {
  Json endpoint = Json::object();
  for (const char* key : {"IPAMConfig", "Links", "DriverOpts"}) {
    const Json* value = member(settings, key);
    if (value != nullptr && !value->empty()) endpoint[key] = *value;
  }
  Json aliases = Json::array();
  if (const Json* given = member(settings, "Aliases"); given != nullptr && given->is_array()) {
    for (const Json& alias : *given) {
      if (alias != container.id.substr(0, short_id)) aliases.push_back(alias);
    }
  }
  if (!aliases.empty()) endpoint["Aliases"] = std::move(aliases);
  return endpoint;
}

// Whatever the order of the keys: our objects keep the one in which they were made.
bool same(const Json& a, const Json& b) {
  if (a.is_array() && b.is_array()) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
  }
  if (!a.is_object() || !b.is_object()) return a == b;
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a.items()) {
    const auto other = b.find(key);
    if (other == b.end() || !same(value, *other)) return false;
  }
  return true;
}

}  // namespace

std::string container_record(const wire::Container& container) {
  return pretty_json(Json{{"schema", schema},
                          {"Id", container.id},
                          {"Name", '/' + container.name},
                          {"Image", container.image},
                          {"State", {{"Status", container.state}, {"Running", container.running}}},
                          {"Config", container.config},
                          {"HostConfig", container.host_config},
                          {"Mounts", json_of(container.mounts)},
                          {"NetworkSettings", {{"Networks", container.networks}}}});
}

wire::Container recorded_container(const std::string& text) {
  const auto json = parse_json(text);
  const auto written_by = json ? int_member(*json, "schema") : std::nullopt;
  if (written_by && *written_by > schema) {
    throw Error(ErrorKind::artifact, "it was written by a newer version of backup-before-apply",
                "use that version, or a later one");
  }
  auto container = wire::parse_container(text);
  if (!written_by || !container || container->name.empty() || container->image.empty()) {
    throw Error(ErrorKind::artifact, "it does not hold the configuration of a container");
  }
  return *std::move(container);
}

ContainerCreation creation_of(const wire::Container& container) {
  ContainerCreation creation;
  Json& body = creation.body;
  body = container.config;
  body["Image"] = container.image;
  Json host_config = container.host_config;
  name_volumes(container.mounts, host_config);
  const std::string first = string_member(host_config, "NetworkMode").value_or("default");
  // The engine's own choice is the beginning of the container's id: the new one has another.
  if (string_member(body, "Hostname") == container.id.substr(0, short_id)) body.erase("Hostname");
  // What belongs to the network of another container is said there, and refused here.
  if (first.starts_with("container:")) {
    for (const char* key : {"Hostname", "Domainname", "ExposedPorts", "MacAddress"})
      body.erase(key);
  }
  if (string_member(host_config, "UTSMode") == "host") body.erase("Hostname");
  for (const auto& [network, settings] : container.networks.items()) {
    if (is_built_in(network)) continue;
    Json endpoint = endpoint_of(container, settings);
    // Engines before API 1.44 take one network only when a container is made.
    if (network == first) {
      body["NetworkingConfig"] = {{"EndpointsConfig", {{network, std::move(endpoint)}}}};
    } else {
      creation.networks.emplace(network, std::move(endpoint));
    }
  }
  body["HostConfig"] = std::move(host_config);
  return creation;
}

bool same_configuration(const wire::Container& a, const wire::Container& b) {
  const ContainerCreation one = creation_of(a);
  const ContainerCreation other = creation_of(b);
  return same(one.body, other.body) &&
         std::equal(one.networks.begin(), one.networks.end(), other.networks.begin(),
                    other.networks.end(), [](const auto& left, const auto& right) {
                      return left.first == right.first && same(left.second, right.second);
                    });
}

}  // namespace bba::run
