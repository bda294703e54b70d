#include "bba/ops/drill_keys.hpp"

#include <algorithm>
#include <cstdint>

#include "bba/base/text.hpp"

namespace bba::ops {

namespace {

std::uint64_t count(const Json* object, std::string_view key) {
  return object == nullptr ? 0 : size_member(*object, key).value_or(0);
}

}  // namespace

KeyVerdict compare_keys(const Json& around, const Json& restored) {
  KeyVerdict verdict;
  const auto fail = [&](const std::string& database, std::uint64_t keys, std::uint64_t least,
                        std::uint64_t most) {
    verdict.lost =
        fmt::format("{} has {} keys after restoring, and the server had {}", database, keys,
                    least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most));
  };
  for (const auto& [database, counts] : around.items()) {
    const Json* before = member(counts, "before");
    const Json* after = member(counts, "after");
    const auto [fewer, more] = std::minmax({count(before, "keys"), count(after, "keys")});
    const std::uint64_t expiring = std::max(count(before, "expires"), count(after, "expires"));
    const bool busy = more > fewer;
    const std::uint64_t least = fewer > expiring ? fewer - expiring : 0;
    const Json* now = member(restored, database);
    const std::uint64_t keys = count(now, "keys");
    if (keys < least || keys > more) {
      fail(database, keys, least, more);
      return verdict;
    }
    if (busy) {
      verdict.not_proven.push_back(fmt::format(
          "{}: the server was written to meanwhile, it had {} to {} keys: that all which "
          "were there at one moment are is not known",
          database, fewer, more));
    } else if (keys < fewer) {
      verdict.not_proven.push_back(
          fmt::format("{}: {} of {} keys are gone, and {} of them had a time "
                      "to live: that no other is missing",
                      database, fewer - keys, fewer, expiring));
    }
  }
  for (const auto& [database, counts] : restored.items()) {
    const std::uint64_t keys = count(&counts, "keys");
    if (keys > 0 && !around.contains(database)) fail(database, keys, 0, 0);
  }
  return verdict;
}

}  // namespace bba::ops
