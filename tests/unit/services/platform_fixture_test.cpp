// The classes that the services' own rules give the modules of a large platform.
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bba/base/text.hpp"
#include "bba/conf/platform.hpp"
#include "bba/services/registry.hpp"

using namespace bba;

namespace {
const std::string root = BBA_SOURCE_DIR "/fixtures/platform";
}  // namespace

TEST_CASE("platform fixture: the classes of its stateful modules") {
  const conf::Platform platform = conf::load_platform(root);
  std::map<char, std::vector<std::string>> classes;
  for (const auto& [id, module] : platform.modules) {
    if (module.statefulness != conf::Statefulness::stateful) continue;
    classes[services::class_of({}, id, module.image_observed).module_class].push_back(id);
  }
  CHECK(join(classes['A'], " ") ==
        "agent-plane-shadow-postgres honcho-postgres immich-postgres postgres");
  CHECK(join(classes['B'], " ") == "honcho-redis infisical-redis redis");
  CHECK(join(classes['C'], " ") == "vault");
  CHECK(join(classes['D'], " ") == "minio");
  CHECK(join(classes['F'], " ") == "karakeep-meilisearch searxng");
  CHECK(join(classes['G'], " ") == "agaria-postgres agaria-redis");
  CHECK(classes['E'].size() == 32);
}
