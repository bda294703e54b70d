#include "bba/tree/archive_rules.hpp"

#include <algorithm>

#include "bba/base/text.hpp"

namespace bba::tree {

std::string ArchiveRules::in_container(const std::string& below) const {
  return below.empty() ? path : (path == "/" ? "" : path) + "/" + below;
}

bool ArchiveRules::excluded(const std::string& below) const {
  if (below.empty()) return false;
  const std::string full = in_container(below);
  for (const std::string& pattern : excludes) {
    if (glob_match(pattern, full) || glob_match(pattern + "/*", full)) return true;
  }
  for (const std::string& inner : nested) {
    if (full.size() > inner.size() && full.starts_with(inner) && full[inner.size()] == '/') {
      return true;
    }
  }
  return false;
}

bool ArchiveRules::is_nested_mount(const std::string& below) const {
  return std::find(nested.begin(), nested.end(), in_container(below)) != nested.end();
}

HostWalk walk_of(const ArchiveRules& rules) {
  return HostWalk(
      rules.host_path, [&rules](const std::string& below) { return rules.excluded(below); },
      [&rules](const std::string& below) { return rules.is_nested_mount(below); });
}

std::optional<std::uint64_t> measure(const ArchiveRules& rules, const Stop& stop) {
  const auto measured = measure(rules, [&] { return !stop.is_due(); });
  stop.throw_if_requested();
  return measured ? std::optional(measured->bytes) : std::nullopt;
}

std::optional<MeasureResult> measure(const ArchiveRules& rules,
                                     const std::function<bool()>& go_on) {
  try {
    HostWalk walk = walk_of(rules);
    MeasureResult measured;
    while (const std::optional<HostEntry> entry = walk.next()) {
      constexpr std::uint64_t header = 512;
      measured.bytes += header;
      if (S_ISREG(entry->status.st_mode))
        measured.bytes += static_cast<std::uint64_t>(entry->status.st_size);
      if (!go_on()) {
        measured.whole = false;
        break;
      }
    }
    return measured;
  } catch (const Error&) {
    return std::nullopt;  // files come and go under a running service; this is only an estimate
  }
}

}  // namespace bba::tree
