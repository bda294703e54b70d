// What is recorded of a container, and what a container like it is made from.
#include "bba/run/recorded_container.hpp"

#include <doctest/doctest.h>

#include "bba/base/error.hpp"

using namespace bba;
using namespace bba::run;

namespace {

const std::string id = "0123456789abcdef0123456789abcdef";

wire::Container sample() {
  wire::Container container;
  container.id = id;
  container.name = "forgejo";
  container.image = "sha256:aaaa";
  container.state = "running";
  container.running = true;
  container.config = {{"Hostname", "0123456789ab"},
                      {"Image", "forgejo:7"},
                      {"Env", {"TOKEN=s3cret"}},
                      {"ExposedPorts", {{"3000/tcp", Json::object()}}},
                      {"Labels", {{"owner", "me"}}}};
  container.host_config = {{"Binds", {"data:/data", "/etc/localtime:/etc/localtime:ro"}},
                           {"Mounts", {{{"Type", "volume"}, {"Target", "/cache"}}}},
                           {"NetworkMode", "apps_default"},
                           {"RestartPolicy", {{"Name", "always"}}}};
  container.mounts = {{"volume", "data", "/v/data/_data", "/data", true},
                      {"bind", "", "/etc/localtime", "/etc/localtime", false},
                      {"volume", "anonymous1", "/v/1/_data", "/cache", true},
                      {"volume", "anonymous2", "/v/2/_data", "/logs", false}};
  container.networks = {{"apps_default",
                         {{"Aliases", {"git", "0123456789ab"}},
                          {"IPAMConfig", {{"IPv4Address", "10.1.0.9"}}},
                          {"IPAddress", "10.1.0.9"},
                          {"NetworkID", "f00"}}},
                        {"proxy", {{"Aliases", {"git"}}, {"Links", nullptr}}},
                        {"bridge", Json::object()}};
  return container;
}

const Json* volume_at(const Json& body, const std::string& target) {
  for (const Json& one : body.at("HostConfig").at("Mounts")) {
    if (one.at("Target") == target) return &one;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("recorded container: it is read back as it was") {
  const wire::Container read = recorded_container(container_record(sample()));
  CHECK(read.id == id);
  CHECK(read.name == "forgejo");
  CHECK(read.image == "sha256:aaaa");
  CHECK(read.running);
  CHECK(wire::env_value(read, "TOKEN") == "s3cret");
  CHECK(same_configuration(read, sample()));
}

TEST_CASE("recorded container: what is not one is refused") {
  Json newer = *parse_json(container_record(sample()));
  newer["schema"] = 2;
  Json unnamed = *parse_json(container_record(sample()));
  unnamed.erase("Image");
  Json other = *parse_json(container_record(sample()));
  other.erase("schema");
  for (const std::string& text :
       {std::string(), std::string("[]"), dump_json(newer), dump_json(unnamed), dump_json(other)}) {
    CAPTURE(text);
    CHECK_THROWS_AS(recorded_container(text), Error);
  }
}

TEST_CASE("creation: from the image's id, on the same volumes, those without a name included") {
  const Json body = creation_of(sample()).body;
  CHECK(body.at("Image") == "sha256:aaaa");
  CHECK(body.at("Labels").at("owner") == "me");
  // The engine has made it of the id.
  CHECK_FALSE(body.contains("Hostname"));
  CHECK(body.at("HostConfig").at("Binds") == sample().host_config.at("Binds"));
  CHECK(body.at("HostConfig").at("Mounts").size() == 2);
  REQUIRE(volume_at(body, "/cache"));
  // As the engine gives it back, so that the container made from this is the same once more.
  CHECK(dump_json(*volume_at(body, "/cache")) ==
        R"({"Type":"volume","Target":"/cache","Source":"anonymous1"})");
  REQUIRE(volume_at(body, "/logs"));
  CHECK(volume_at(body, "/logs")->at("Source") == "anonymous2");
  CHECK(volume_at(body, "/logs")->at("ReadOnly") == true);
  CHECK_FALSE(volume_at(body, "/data"));
}

TEST_CASE("creation: its networks with what was asked for, and not what the engine made of it") {
  const ContainerCreation creation = creation_of(sample());
  CHECK(creation.body.at("NetworkingConfig").at("EndpointsConfig") ==
        Json{{"apps_default",
              {{"IPAMConfig", {{"IPv4Address", "10.1.0.9"}}}, {"Aliases", {"git"}}}}});
  CHECK(creation.networks.size() == 1);
  CHECK(creation.networks.at("proxy") == Json{{"Aliases", {"git"}}});
}

TEST_CASE("creation: in another container's network it has no host name and no ports of its own") {
  wire::Container container = sample();
  container.host_config["NetworkMode"] = "container:fedcba";
  container.config["Hostname"] = "theirs";
  container.networks = Json::object();
  const Json body = creation_of(container).body;
  CHECK_FALSE(body.contains("Hostname"));
  CHECK_FALSE(body.contains("ExposedPorts"));
  CHECK(body.at("HostConfig").at("NetworkMode") == "container:fedcba");
}

TEST_CASE("creation: a host name that was asked for stays") {
  wire::Container container = sample();
  container.config["Hostname"] = "git.example";
  CHECK(creation_of(container).body.at("Hostname") == "git.example");
}

TEST_CASE("same configuration: another id, address or state does not matter, all else does") {
  const wire::Container recorded = sample();
  wire::Container now = sample();
  now.id = "ffffffffffff0000";
  now.running = false;
  now.config["Hostname"] = "ffffffffffff";
  now.networks["apps_default"]["Aliases"] = {"git", "ffffffffffff"};
  now.networks["apps_default"]["IPAddress"] = "10.1.0.77";
  CHECK(same_configuration(recorded, now));

  // The engine gives back what named its volumes, in an order of its own.
  wire::Container made_from_it = now;
  Json named = creation_of(recorded).body.at("HostConfig").at("Mounts");
  made_from_it.host_config = Json{{"Mounts", std::move(named)}};
  made_from_it.host_config.update(recorded.host_config);
  made_from_it.host_config["Mounts"] = creation_of(recorded).body.at("HostConfig").at("Mounts");
  CHECK(same_configuration(recorded, made_from_it));

  wire::Container other_image = now;
  other_image.image = "sha256:bbbb";
  CHECK_FALSE(same_configuration(recorded, other_image));
  wire::Container other_variable = now;
  other_variable.config["Env"] = {"TOKEN=another"};
  CHECK_FALSE(same_configuration(recorded, other_variable));
  wire::Container other_volume = now;
  other_volume.mounts[2].name = "anonymous3";
  CHECK_FALSE(same_configuration(recorded, other_volume));
  wire::Container other_network = now;
  other_network.networks.erase("proxy");
  CHECK_FALSE(same_configuration(recorded, other_network));
}
