#include "bba/service/dump_comparison.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::service {

namespace {

std::string name_of(const Json& database) {
  return string_member(database, "name").value_or("");
}

// Of two objects, the first key whose value differs, and both values.
std::string key_difference(const Json& said, const Json& counted) {
  for (const auto& [key, value] : counted.items()) {
    const Json* other = member(said, key);
    if (other != nullptr && *other == value) continue;
    if (other != nullptr && value.is_object() && other->is_object()) {
      return key + " " + key_difference(*other, value);
    }
    return fmt::format("{}: {}, and the manifest says {}", key, dump_json(value),
                       other == nullptr ? "nothing" : dump_json(*other));
  }
  for (const auto& [key, value] : said.items()) {
    if (member(counted, key) == nullptr) {
      return fmt::format("{}: nothing, and the manifest says {}", key, dump_json(value));
    }
  }
  return "its parts are in another order than the manifest says";
}

}  // namespace

std::string database_difference(const Json& said, const Json& counted) {
  if (!said.is_array() || !counted.is_array()) return "the manifest does not say its databases";
  const std::size_t both = std::min(said.size(), counted.size());
  for (std::size_t i = 0; i < both; ++i) {
    if (said[i] == counted[i]) continue;
    if (name_of(said[i]) != name_of(counted[i])) {
      return fmt::format("it has database {}, and the manifest says {}", name_of(counted[i]),
                         name_of(said[i]));
    }
    return fmt::format("database {}: it has {}", name_of(counted[i]),
                       key_difference(said[i], counted[i]));
  }
  return fmt::format("it has {} databases, and the manifest says {}", counted.size(), said.size());
}

void require_equal(const std::string& what, std::uint64_t restored, std::uint64_t dumped) {
  if (restored == dumped) return;
  throw Error(ErrorKind::artifact,
              fmt::format("{} {} after restoring, and the dump holds {}", restored, what, dumped));
}

}  // namespace bba::service
