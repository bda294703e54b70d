#include "bba/wire/message.hpp"

#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace bba;
using namespace bba::wire;

namespace {

const std::string container_body = R"({
  "Id": "4f2a", "Name": "/postgres-1",
  "Image": "sha256:aa11",
  "State": {"Status": "running", "Running": true, "Paused": false, "Restarting": false, "Pid": 4711},
  "HostConfig": {"AutoRemove": true, "ReadonlyRootfs": true, "NetworkMode": "none"},
  "Mounts": [{"Type": "volume", "Name": "pgdata", "Source": "/var/lib/docker/volumes/pgdata/_data",
              "Destination": "/var/lib/postgresql/data", "RW": true},
             {"Type": "bind", "Source": "/etc/x", "Destination": "/x", "RW": false}],
  "Config": {"Image": "postgres:16", "User": "postgres", "WorkingDir": "/srv",
             "Env": ["POSTGRES_USER=admin", "EMPTY=", "POSTGRES_USER=last", "BARE"],
             "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres", "-c", "fsync=off"],
             "Labels": {"com.docker.compose.service": "postgres", "odd": 7}}
})";

// Every parser over one body: none may throw.
void parse_all(std::string_view body) {
  CHECK_NOTHROW(parse_version(body));
  CHECK_NOTHROW(parse_info(body));
  CHECK_NOTHROW(parse_container_list(body));
  CHECK_NOTHROW(parse_container(body));
  CHECK_NOTHROW(parse_image(body));
  CHECK_NOTHROW(parse_volume(body));
  CHECK_NOTHROW(parse_exec_status(body));
  CHECK_NOTHROW(parse_id(body));
  CHECK_NOTHROW(error_message(body));
}

}  // namespace

TEST_CASE("version: the engine's versions are read") {
  const auto version = parse_version(
      R"({"Platform":{"Name":"Docker Engine - Community"},"Components":[{"Name":"Engine"}],)"
      R"("Version":"28.1.0","ApiVersion":"1.51","MinAPIVersion":"1.24"})");
  REQUIRE(version);
  CHECK(version->version == "28.1.0");
  CHECK(version->api_version == "1.51");
  CHECK(version->min_api_version == "1.24");
}

TEST_CASE("version: without an API version it is not an engine") {
  CHECK_FALSE(parse_version("{}"));
  CHECK_FALSE(parse_version("[]"));
  CHECK_FALSE(parse_version("<html>"));
  for (const char* bad : {"", "1", "1.", ".41", "1.41/../..", "1.41 ", "-1.41", "a.b", "1.41.2"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_version(dump_json({{"ApiVersion", bad}})));
  }
  CHECK_FALSE(parse_version(R"({"ApiVersion":1.41})"));
  CHECK_FALSE(parse_version(R"({"ApiVersion":null})"));
}

TEST_CASE("API versions compare by number") {
  CHECK(compare_api_versions("1.9", "1.41") < 0);
  CHECK(compare_api_versions("1.51", "1.41") > 0);
  CHECK(compare_api_versions("1.41", "1.41") == 0);
  CHECK(compare_api_versions("2.0", "1.99") > 0);
  CHECK(compare_api_versions("", "0.0") == 0);
  CHECK(compare_api_versions("garbage", "1.0") < 0);
  CHECK(compare_api_versions("99999999999999999999.1", "1.0") < 0);
}

TEST_CASE("info: names, and missing ones") {
  const auto info = parse_info(
      R"({"Name":"host1","DockerRootDir":"/var/lib/docker","SecurityOptions":["name=userns",3]})");
  REQUIRE(info);
  CHECK(info->name == "host1");
  CHECK(info->docker_root_dir == "/var/lib/docker");
  CHECK(info->security_options == std::vector<std::string>{"name=userns"});
  REQUIRE(parse_info("{}"));
  CHECK(parse_info("{}")->name.empty());
  CHECK_FALSE(parse_info("null"));
}

TEST_CASE("container list: summaries are read") {
  const auto list = parse_container_list(
      R"([{"Id":"a1","Names":["/web","/other/alias"],"Image":"nginx","State":"running",)"
      R"("Labels":{"k":"v"},"Mounts":[{"Type":"tmpfs","Destination":"/t"}]},{"Id":"b2"}])");
  REQUIRE(list);
  REQUIRE(list->size() == 2);
  const ContainerSummary& web = list->front();
  CHECK(web.id == "a1");
  CHECK(web.names == std::vector<std::string>{"web", "other/alias"});
  CHECK(web.image == "nginx");
  CHECK(web.state == "running");
  CHECK(web.labels == Labels{{"k", "v"}});
  REQUIRE(web.mounts.size() == 1);
  CHECK(web.mounts[0].type == "tmpfs");
  CHECK(web.mounts[0].source.empty());
  CHECK(web.mounts[0].rw);
  CHECK(list->back().names.empty());
}

TEST_CASE("container list: a container without an id makes the list useless") {
  CHECK_FALSE(parse_container_list(R"([{"Id":"a1"},{"Names":["/web"]}])"));
  CHECK_FALSE(parse_container_list(R"([{"Id":"a1"}, 7])"));
  CHECK_FALSE(parse_container_list("{}"));
  REQUIRE(parse_container_list("[]"));
  CHECK(parse_container_list("[]")->empty());
}

TEST_CASE("container: everything that is used of inspect is read") {
  const auto container = parse_container(container_body);
  REQUIRE(container);
  CHECK(container->id == "4f2a");
  CHECK(container->name == "postgres-1");
  CHECK(container->image == "sha256:aa11");
  CHECK(container->state == "running");
  CHECK(container->running);
  CHECK_FALSE(container->paused);
  CHECK_FALSE(container->restarting);
  CHECK(container->pid == 4711);
  CHECK(container->auto_remove);
  CHECK(container->readonly_rootfs);
  CHECK(container->config_image == "postgres:16");
  CHECK(container->user == "postgres");
  CHECK(container->working_dir == "/srv");
  CHECK(container->entrypoint == std::vector<std::string>{"docker-entrypoint.sh"});
  CHECK(container->cmd == std::vector<std::string>{"postgres", "-c", "fsync=off"});
  CHECK(container->labels == Labels{{"com.docker.compose.service", "postgres"}});
  REQUIRE(container->mounts.size() == 2);
  CHECK(container->mounts[0].name == "pgdata");
  CHECK(container->mounts[0].source == "/var/lib/docker/volumes/pgdata/_data");
  CHECK(container->mounts[1].destination == "/x");
  CHECK_FALSE(container->mounts[1].rw);
  CHECK(string_member(container->host_config, "NetworkMode") == "none");
  CHECK(string_member(container->config, "Image") == "postgres:16");
}

TEST_CASE("container: of several values of a variable the last one counts") {
  const auto container = parse_container(container_body);
  REQUIRE(container);
  CHECK(env_value(*container, "POSTGRES_USER") == "last");
  CHECK(env_value(*container, "EMPTY") == "");
  CHECK(env_value(*container, "BARE") == std::nullopt);
  CHECK(env_value(*container, "POSTGRES") == std::nullopt);
  CHECK(env_value(*container, "") == std::nullopt);
}

TEST_CASE("container: the running state is required") {
  CHECK_FALSE(parse_container(R"({"Id":"a"})"));
  CHECK_FALSE(parse_container(R"({"Id":"a","State":{}})"));
  CHECK_FALSE(parse_container(R"({"Id":"a","State":{"Running":"yes"}})"));
  CHECK_FALSE(parse_container(R"({"State":{"Running":true}})"));
  const auto least = parse_container(R"({"Id":"a","State":{"Running":false}})");
  REQUIRE(least);
  CHECK(least->env.empty());
  CHECK(least->config.is_object());
  CHECK(least->host_config.is_object());
}

TEST_CASE("container: fields of wrong types count as missing") {
  const auto container = parse_container(
      R"({"Id":"a","Name":7,"Image":null,"Mounts":{"a":1},)"
      R"("State":{"Running":true,"Status":[],"Pid":1.5,"Paused":"no"},"HostConfig":[],)"
      R"("Config":{"Env":"A=b","Cmd":null,"Labels":["x"],"User":{}}})");
  REQUIRE(container);
  CHECK(container->name.empty());
  CHECK(container->image.empty());
  CHECK(container->mounts.empty());
  CHECK(container->state.empty());
  CHECK(container->pid == 0);
  CHECK_FALSE(container->paused);
  CHECK(container->env.empty());
  CHECK(container->cmd.empty());
  CHECK(container->labels.empty());
  CHECK(container->user.empty());
  CHECK(container->host_config == Json::object());
}

TEST_CASE("container: its health, and the exit code of its last run") {
  const auto state = [](const std::string& fields) {
    return parse_container(R"({"Id":"a","State":{"Running":false)" + fields + "}}");
  };
  for (const char* health : {"starting", "healthy", "unhealthy"}) {
    CHECK(state(std::string(R"(,"Health":{"Status":")") + health + "\"}").value().health == health);
  }
  for (const char* none :
       {"", R"(,"Health":null)", R"(,"Health":{})", R"(,"Health":{"Status":"none"})",
        R"(,"Health":{"Status":7})", R"(,"Health":"healthy")"}) {
    CAPTURE(none);
    CHECK(state(none).value().health.empty());
  }
  CHECK(state(R"(,"ExitCode":137)").value().exit_code == 137);
  CHECK(state("").value().exit_code == 0);
  CHECK(state(R"(,"ExitCode":"1")").value().exit_code == 0);
}

TEST_CASE("volume: everything that is used of it is read") {
  const auto volume = parse_volume(
      R"({"Name":"pgdata","Driver":"local","Mountpoint":"/var/lib/docker/volumes/pgdata/_data",)"
      R"("Labels":{"bba.parked":"db","odd":7},"Options":{"type":"nfs","device":":/x"},)"
      R"("Scope":"local"})");
  REQUIRE(volume);
  CHECK(volume->name == "pgdata");
  CHECK(volume->driver == "local");
  CHECK(volume->mountpoint == "/var/lib/docker/volumes/pgdata/_data");
  CHECK(volume->labels == Labels{{"bba.parked", "db"}});
  CHECK(volume->options == std::map<std::string, std::string>{{"device", ":/x"}, {"type", "nfs"}});
}

TEST_CASE("volume: without labels and options, and without a name") {
  const auto volume = parse_volume(R"({"Name":"v","Labels":null,"Options":null})");
  REQUIRE(volume);
  CHECK(volume->driver.empty());
  CHECK(volume->mountpoint.empty());
  CHECK(volume->labels.empty());
  CHECK(volume->options.empty());
  for (const char* none : {"", "[]", "{}", R"({"Name":""})", R"({"Name":7})", R"("v")"}) {
    CAPTURE(none);
    CHECK_FALSE(parse_volume(none));
  }
}

TEST_CASE("image: id and digests are read") {
  const auto image =
      parse_image(R"({"Id":"sha256:aa","RepoTags":["a:1"],"RepoDigests":["a@sha256:bb"]})");
  REQUIRE(image);
  CHECK(image->id == "sha256:aa");
  CHECK(image->repo_digests == std::vector<std::string>{"a@sha256:bb"});
  CHECK(parse_image(R"({"Id":"sha256:aa","RepoDigests":null})")->repo_digests.empty());
  CHECK_FALSE(parse_image("{}"));
}

TEST_CASE("exec: the request never asks for a terminal") {
  const std::optional<Json> least = parse_json(to_body({.argv = {"id", "-u"}}));
  REQUIRE(least);
  CHECK(*least == Json{{"AttachStdin", false},
                       {"AttachStdout", true},
                       {"AttachStderr", true},
                       {"Tty", false},
                       {"Cmd", {"id", "-u"}}});
  const std::optional<Json> full = parse_json(to_body({.argv = {"sh"},
                                                       .env = {{"PGPASSWORD", "a=b\"c"}},
                                                       .user = "postgres",
                                                       .working_dir = "/",
                                                       .attach_stdin = true}));
  REQUIRE(full);
  CHECK(member(*full, "Env")->at(0) == "PGPASSWORD=a=b\"c");
  CHECK(string_member(*full, "User") == "postgres");
  CHECK(string_member(*full, "WorkingDir") == "/");
  CHECK(bool_member(*full, "AttachStdin") == true);
}

TEST_CASE("exec: bytes that JSON cannot carry do not cause an error") {
  CHECK(parse_json(to_body({.argv = {"echo", "\xff\xfe"}})));
}

TEST_CASE("exec: an exit code that is null or missing is unknown") {
  const auto ended =
      parse_exec_status(R"({"Running":false,"ExitCode":0,"Pid":12,"ContainerID":"c"})");
  REQUIRE(ended);
  CHECK_FALSE(ended->running);
  CHECK(ended->exit_code == 0);
  CHECK(ended->pid == 12);
  CHECK(ended->container_id == "c");
  CHECK(parse_exec_status(R"({"Running":false,"ExitCode":null})")->exit_code == std::nullopt);
  CHECK(parse_exec_status(R"({"Running":false})")->exit_code == std::nullopt);
  CHECK(parse_exec_status(R"({"Running":false,"ExitCode":"0"})")->exit_code == std::nullopt);
  CHECK(parse_exec_status(R"({"Running":false,"ExitCode":0.0})")->exit_code == std::nullopt);
  CHECK(parse_exec_status(R"({"Running":false,"ExitCode":18446744073709551615})")->exit_code ==
        std::nullopt);
  CHECK(parse_exec_status(R"({"Running":true,"ExitCode":137})")->exit_code == 137);
  CHECK_FALSE(parse_exec_status(R"({"ExitCode":0})"));
}

TEST_CASE("id: the id of a created object is read") {
  CHECK(parse_id(R"({"Id":"abc","Warnings":[]})") == "abc");
  CHECK_FALSE(parse_id(R"({"Id":""})"));
  CHECK_FALSE(parse_id(R"({"ID":"abc"})"));
  CHECK_FALSE(parse_id(R"("abc")"));
}

TEST_CASE("error message: the engine's message is on one line") {
  CHECK(error_message(R"({"message":"No such container: web"})") == "No such container: web");
  CHECK(error_message("page not found\n") == "page not found");
  CHECK(error_message(R"({"error":"x"})") == R"({"error":"x"})");
  CHECK(error_message(R"({"message":7})") == R"({"message":7})");
  CHECK(error_message("").empty());
  CHECK(error_message("two\nlines\x1b[31m") == "two\\nlines\\x1b[31m");
}

TEST_CASE("error message: cut at 500 bytes, never inside a character") {
  CHECK(error_message(std::string(10'000, 'e')).size() == 500);
  for (std::size_t lead = 0; lead < 4; ++lead) {
    std::string text(lead, 'x');
    while (text.size() < 1000) text += "\xe2\x82\xac";
    const std::string message = error_message(text);
    CHECK(message.size() <= 500);
    CHECK(message.size() > 490);
    CHECK((message.size() - lead) % 3 == 0);
  }
}

TEST_CASE("percent encoding: all except the unreserved characters") {
  CHECK(percent_encoded("aZ09-._~") == "aZ09-._~");
  CHECK(percent_encoded("/data/a b?c#d%&=+") == "%2Fdata%2Fa%20b%3Fc%23d%25%26%3D%2B");
  CHECK(percent_encoded("\xc3\xa4\n") == "%C3%A4%0A");
  CHECK(percent_encoded(std::string_view("\0", 1)) == "%00");
}

TEST_CASE("hostile bodies: no parser throws") {
  const std::string deep(200'000, '[');
  const std::string deep_object = [] {
    std::string text;
    for (int i = 0; i < 50'000; ++i) text += R"({"State":)";
    return text;
  }();
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("{"), std::string("\xff\xfe\0x", 4), deep,
        deep_object, std::string(R"({"Id":"\ud800"})"), std::string("{\"Id\":\"\xff\"}"),
        std::string(R"({"Id":"a","State":{"Running":true,"Pid":1e999}})"),
        std::string(R"({"Id":"a","State":{"Running":true,"Pid":99999999999999999999999999}})"),
        std::string(R"({"Running":false,"ExitCode":-9223372036854775809})")}) {
    parse_all(body);
  }
}

TEST_CASE("hostile bodies: no parser throws for mutations of a good one") {
  std::mt19937 random(4711);
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  int understood = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string body = container_body;
    for (std::size_t changes = below(4); changes > 0; --changes) {
      body[below(body.size())] = static_cast<char>(below(256));
    }
    if (below(4) == 0) body.resize(below(body.size()));
    parse_all(body);
    if (parse_container(body)) ++understood;
  }
  // Otherwise the mutations would be too coarse to reach what is behind the JSON parser.
  CHECK(understood > 300);
}
