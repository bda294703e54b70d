#include "compare_keys.hpp"

#include <algorithm>
#include <cstdint>

#include "bba/base/text.hpp"

namespace bba::services::redis {

namespace {

std::uint64_t count(const Json* object, std::string_view key) {
  return object == nullptr ? 0 : size_member(*object, key).value_or(0);
}

// Keys without a time to live: none of them expires.
std::uint64_t lasting(const Json* counts) {
  const std::uint64_t keys = count(counts, "keys");
  return keys - std::min(keys, count(counts, "expires"));
}

}  // namespace

KeyVerdict compare_keys(const Json& around, const Json& restored) {
  KeyVerdict verdict;
  const auto fail = [&](const std::string& database, std::uint64_t keys, const char* what,
                        std::uint64_t least, std::uint64_t most) {
    verdict.lost =
        fmt::format("{} has {} {} after restoring, and the server had {}", database, keys, what,
                    least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most));
  };
  for (const auto& [database, counts] : around.items()) {
    const Json* before = member(counts, "before");
    const Json* after = member(counts, "after");
    const auto [fewer, more] = std::minmax({count(before, "keys"), count(after, "keys")});
    const auto [least, most] = std::minmax({lasting(before), lasting(after)});
    const bool busy = more > fewer || most > least;
    const Json* now = member(restored, database);
    const std::uint64_t keys = count(now, "keys");
    if (const std::uint64_t stayed = lasting(now); stayed < least || stayed > most) {
      fail(database, stayed, "keys without a time to live", least, most);
      return verdict;
    }
    if (keys > more) {
      fail(database, keys, "keys", fewer, more);
      return verdict;
    }
    if (busy) {
      verdict.not_proven.push_back(fmt::format(
          "{}: the server was written to meanwhile, it had {} to {} keys: that all keys of one "
          "moment are there",
          database, fewer, more));
    } else if (keys < fewer) {
      verdict.not_proven.push_back(
          fmt::format("{}: {} of {} keys with a time to live are gone: that they had expired",
                      database, fewer - keys, fewer - least));
    }
  }
  for (const auto& [database, counts] : restored.items()) {
    const std::uint64_t keys = count(&counts, "keys");
    if (keys > 0 && !around.contains(database)) fail(database, keys, "keys", 0, 0);
  }
  return verdict;
}

std::string missing_database(const Json& around, const Json& now) {
  for (const auto& [database, counts] : around.items()) {
    const bool had_keys =
        lasting(member(counts, "before")) > 0 && lasting(member(counts, "after")) > 0;
    if (had_keys && count(member(now, database), "keys") == 0) return database;
  }
  return {};
}

}  // namespace bba::services::redis
