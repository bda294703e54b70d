#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "files.hpp"

using bba::conf::Compose;
using bba::conf::ComposeService;
using bba::conf::ComposeVolume;
using bba::conf::load_compose;

namespace {

// The services of files in which nothing is broken.
std::vector<ComposeService> load(const test::TempDir& root) {
  std::vector<std::string> problems;
  const Compose compose = load_compose(root.path(), problems);
  CHECK(problems == std::vector<std::string>{});
  return compose.services;
}

std::vector<ComposeService> services_of(const std::string& text) {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", text);
  return load(root);
}

std::string error_in(const test::TempDir& root) {
  std::vector<std::string> problems;
  load_compose(root.path(), problems);
  REQUIRE(problems.size() == 1);
  std::string error = problems.front();
  for (std::size_t at; (at = error.find(root.path() + "/")) != std::string::npos;) {
    error.erase(at, root.path().size() + 1);
  }
  return error;
}

std::string error_of(const std::string& text) {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", text);
  return error_in(root);
}

// "type source target [ro]"
std::string shown(const ComposeVolume& volume) {
  return volume.type + " " + (volume.source.empty() ? "-" : volume.source) + " " + volume.target +
         (volume.read_only ? " ro" : "");
}

std::string volume(const std::string& written) {
  return shown(services_of("services: {s: {volumes: [" + written + "]}}").at(0).volumes.at(0));
}

const ComposeService& named(const std::vector<ComposeService>& services, const std::string& name) {
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const ComposeService& each) { return each.name == name; });
  REQUIRE(found != services.end());
  return *found;
}

}  // namespace

TEST_CASE("compose: services of the four stacks, in their order") {
  const test::TempDir root;
  root.write("compose/base/compose.yaml", "services: {z: {image: a}}");
  root.write("compose/apps/compose.yaml", "services: {y: {container_name: yy}, x: }");
  root.write("compose/other/compose.yaml", "services: {w: {}}");
  const std::vector<ComposeService> services = load(root);
  REQUIRE(services.size() == 3);
  CHECK(services[0].name == "x");
  CHECK(services[0].stack == "apps");
  CHECK(services[1].name == "y");
  CHECK(services[1].container_name == "yy");
  CHECK(services[2].name == "z");
  CHECK(services[2].image == "a");
  CHECK(services[2].stack == "base");
  const test::TempDir empty;
  CHECK(load(empty).empty());
}

TEST_CASE("compose: anchors, merge keys, x- keys and variables") {
  const std::vector<ComposeService> services = services_of(R"(
x-defaults: &defaults
  restart: unless-stopped
  volumes: &shared [shared:/shared]
x-image: &image {image: "reg/${IMAGE:-app}:${TAG:-1}"}
services:
  one:
    <<: [*defaults, *image]
    container_name: ${PREFIX:-p}-one
    x-note: {deep: [1]}
  two:
    <<: *defaults
    image: other
    volumes: [own:/own]
  three: {volumes: *shared, extends: {service: one}, build: ., ports: ["1:2"], environment: [A=b]}
volumes: {shared: , own: {external: true}}
networks: {default: {}}
)");
  REQUIRE(services.size() == 3);
  CHECK(named(services, "one").image == "reg/${IMAGE:-app}:${TAG:-1}");
  CHECK(named(services, "one").container_name == "${PREFIX:-p}-one");
  CHECK(shown(named(services, "one").volumes.at(0)) == "volume shared /shared");
  CHECK(named(services, "two").image == "other");
  REQUIRE(named(services, "two").volumes.size() == 1);
  CHECK(shown(named(services, "two").volumes.at(0)) == "volume own /own");
  CHECK(named(services, "three").image == "");
  CHECK(shown(named(services, "three").volumes.at(0)) == "volume shared /shared");
}

TEST_CASE("compose: volumes in the short syntax") {
  CHECK(volume("data:/var/lib/data") == "volume data /var/lib/data");
  CHECK(volume("data:/var/lib/data:ro") == "volume data /var/lib/data ro");
  CHECK(volume("data:/var/lib/data:rw") == "volume data /var/lib/data");
  CHECK(volume("'data:/d:z,ro'") == "volume data /d ro");
  CHECK(volume("/d") == "volume - /d");
  CHECK(volume("/srv/x:/d") == "bind /srv/x /d");
  CHECK(volume("./x:/d:ro") == "bind ./x /d ro");
  CHECK(volume("~/x:/d") == "bind ~/x /d");
  CHECK(volume(".:/d") == "bind . /d");
  CHECK(volume("'${DATA:-/srv}/x:/d:ro'") == "bind ${DATA:-/srv}/x /d ro");
  CHECK(volume("'${VOLUME:-data}:/d'") == "volume ${VOLUME:-data} /d");
  CHECK(volume("'${A:-${B:-x}}:/d'") == "volume ${A:-${B:-x}} /d");
  CHECK(volume("$HOME/x:/d") == "bind $HOME/x /d");
}

TEST_CASE("compose: volumes in the long syntax") {
  CHECK(volume("{type: volume, source: data, target: /d}") == "volume data /d");
  CHECK(volume("{type: bind, source: ./x, target: /d, read_only: true}") == "bind ./x /d ro");
  CHECK(volume("{type: tmpfs, target: /tmp, tmpfs: {size: 10}}") == "tmpfs - /tmp");
  CHECK(volume("{type: volume, target: /d, read_only: false}") == "volume - /d");
  CHECK(volume("{type: volume, target: /d, read_only: '${RO:-true}'}") == "volume - /d");
}

TEST_CASE("compose: wrong types name file, line and column") {
  CHECK(error_of("") == "compose/apps/compose.yaml:1:1: expected a mapping, found nothing");
  CHECK(error_of("services: []") ==
        "compose/apps/compose.yaml:1:11: expected a mapping, found a list");
  CHECK(error_of("services: {s: {container_name: 1}}") ==
        "compose/apps/compose.yaml:1:32: expected text, found a number");
  CHECK(error_of("services: {s: {image: [x]}}") ==
        "compose/apps/compose.yaml:1:23: expected text, found a list");
  CHECK(error_of("services: {s: {volumes: {a: b}}}") ==
        "compose/apps/compose.yaml:1:25: expected a list, found a mapping");
  CHECK(error_of("services: {s: {volumes: [8080]}}") ==
        "compose/apps/compose.yaml:1:26: expected text, found a number");
  for (const std::string text : {"'a:'", "':/b'", "a:/b:ro:x", "''"}) {
    CAPTURE(text);
    CHECK(error_of("services: {s: {volumes: [" + text + "]}}").find("is not a volume") !=
          std::string::npos);
  }
  CHECK(error_of("services: {s: {volumes: [{target: /d}]}}") ==
        "compose/apps/compose.yaml:1:26: a volume needs a type");
  CHECK(error_of("services: {s: {volumes: [{type: bind}]}}") ==
        "compose/apps/compose.yaml:1:26: a volume needs a target");
  CHECK(error_of("services: {s: {volumes: [{type: bind, target: /d, read_only: maybe}]}}") ==
        "compose/apps/compose.yaml:1:62: expected a boolean, found text");
}

TEST_CASE("compose: include, relative to the file that says it") {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", R"(
include:
  - sub/one.yaml
  - path: ../shared/two.yaml
    project_directory: ..
  - path: [three.yaml, three.override.yaml]
services: {own: {image: own}, three: {container_name: three-own}}
)");
  root.write("compose/apps/sub/one.yaml", "include: [nested.yaml]\nservices: {one: {image: one}}");
  root.write("compose/apps/sub/nested.yaml", "services: {nested: {image: nested}}");
  root.write("compose/shared/two.yaml", "services: {two: {image: two}}");
  root.write("compose/apps/three.yaml",
             "services: {three: {image: a, container_name: t, volumes: [a:/a, b:/b]}}");
  root.write("compose/apps/three.override.yaml", "services: {three: {image: b, volumes: [c:/b]}}");
  const std::vector<ComposeService> services = load(root);
  CHECK(services.size() == 5);
  CHECK(named(services, "one").image == "one");
  CHECK(named(services, "nested").image == "nested");
  CHECK(named(services, "two").image == "two");
  CHECK(named(services, "two").stack == "apps");
  const ComposeService& three = named(services, "three");
  CHECK(three.image == "b");
  CHECK(three.container_name == "three-own");
  REQUIRE(three.volumes.size() == 2);
  CHECK(shown(three.volumes[0]) == "volume a /a");
  CHECK(shown(three.volumes[1]) == "volume c /b");
}

TEST_CASE("compose: a file that two others include is read once") {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", "include: [a.yaml, b.yaml]");
  root.write("compose/apps/a.yaml", "include: [c.yaml]");
  root.write("compose/apps/b.yaml", "include: [c.yaml, ./c.yaml]");
  root.write("compose/apps/c.yaml", "services: {c: {volumes: [x:/x]}}");
  CHECK(load(root).at(0).volumes.size() == 1);
}

TEST_CASE("compose: an include that cannot be followed is reported with its place") {
  {
    const test::TempDir root;
    root.write("compose/apps/compose.yaml", "include:\n  - a.yaml");
    root.write("compose/apps/a.yaml", "include: [b.yaml]");
    root.write("compose/apps/b.yaml", "include: [compose.yaml]");
    CHECK(error_in(root) == "compose/apps/b.yaml:1:11: compose/apps/compose.yaml includes itself");
  }
  {
    const test::TempDir root;
    root.write("compose/apps/compose.yaml", "include: [link.yaml]");
    root.link("compose.yaml", "compose/apps/link.yaml");
    CHECK(error_in(root) ==
          "compose/apps/compose.yaml:1:11: compose/apps/compose.yaml includes itself");
  }
  {
    const test::TempDir root;
    root.write("compose/apps/compose.yaml", "include:\n  - loop.yaml");
    root.link("loop.yaml", "compose/apps/loop.yaml");
    CHECK(
        error_in(root) ==
        "compose/apps/compose.yaml:2:5: compose/apps/loop.yaml: Too many levels of symbolic links");
  }
  {
    const test::TempDir root;
    std::string deep = "compose";
    for (int i = 0; i < 40; ++i) {
      const std::string next = "f" + std::to_string(i);
      root.write("compose/apps/" + deep + ".yaml", "include: [" + next + ".yaml]");
      deep = next;
    }
    root.write("compose/apps/" + deep + ".yaml", "services: {}");
    CHECK(error_in(root) == "compose/apps/f31.yaml: more than 200 files, or nested deeper than 32");
  }
  CHECK(error_of("include: [absent.yaml]") ==
        "compose/apps/compose.yaml:1:11: compose/apps/absent.yaml: No such file or directory");
  CHECK(error_of("include: [.]") == "compose/apps/: Is a directory");
  CHECK(error_of("include: [{env_file: x}]") ==
        "compose/apps/compose.yaml:1:11: an include needs a path");
  CHECK(error_of("include: x.yaml") ==
        "compose/apps/compose.yaml:1:10: expected a list, found text");
  CHECK(error_of("include: ['${DIR:-x}/a.yaml']") ==
        "compose/apps/compose.yaml:1:11: cannot follow the include \"${DIR:-x}/a.yaml\"");
  CHECK(error_of("include: ['https://example.org/x.git']") ==
        "compose/apps/compose.yaml:1:11: cannot follow the include \"https://example.org/x.git\"");
}

TEST_CASE("compose: a broken stack is reported, and the services of the others are read") {
  const test::TempDir root;
  root.write("compose/apps/compose.yaml", "services: {a: {image: 1}}");
  root.write("compose/core/compose.yaml", "services: {b: {}}");
  std::vector<std::string> problems;
  const std::vector<ComposeService> services = load_compose(root.path(), problems).services;
  CHECK(problems ==
        std::vector<std::string>{root.path() +
                                 "/compose/apps/compose.yaml:1:23: expected text, found a number"});
  CHECK(named(services, "b").stack == "core");
}

TEST_CASE("compose: the projects, by their files' own names or by their directories'") {
  const auto projects = [](const std::string& text) {
    const test::TempDir root;
    root.write("compose/core/compose.yaml", text);
    // An included file belongs to the project that includes it, whatever its own `name` is.
    root.write("compose/core/more.yaml", "name: more");
    std::vector<std::string> problems;
    return bba::join(load_compose(root.path(), problems).projects, " ");
  };
  CHECK(projects("{name: platform, services: {}}") == "platform");
  CHECK(projects("{services: {}}") == "core");
  CHECK(projects("{name: , services: {}}") == "core");
  CHECK(projects("{name: '', services: {}}") == "core");
  CHECK(projects("{name: platform, include: [more.yaml]}") == "platform");
  CHECK(projects("{include: [more.yaml]}") == "core");
  // What Compose would fill in is not known here.
  CHECK(projects("{name: '${PROJECT:-platform}'}") == "");
  // What was read before the error counts, as it does for services.
  CHECK(projects("{name: platform, services: []}") == "platform");
  CHECK(projects("{name: 7}") == "");
  CHECK(projects("[]") == "");

  const test::TempDir root;
  root.write("compose/base/compose.yaml", "name: low");
  root.write("compose/apps/compose.yaml", "services: {}");
  root.write("compose/other/compose.yaml", "name: other");
  std::vector<std::string> problems;
  CHECK(load_compose(root.path(), problems).projects == std::vector<std::string>{"apps", "low"});
  CHECK(problems == std::vector<std::string>{});
}

TEST_CASE("compose: a large file of nothing but volumes is read in reasonable time") {
  std::string text = "services:\n  s:\n    volumes:\n";
  for (int i = 0; i < 100'000; ++i) text += "      - v:/d" + std::to_string(i) + "\n";
  CHECK(services_of(text).at(0).volumes.size() == 100'000);
}
