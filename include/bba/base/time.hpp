// Points in time as the artifacts write them (UTC, whole seconds) and spans as operators type them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace bba {

using Timestamp = std::chrono::sys_seconds;

Timestamp now();

// "20261123T084232Z", the form in artifact names.
std::string format_compact(Timestamp time);
std::optional<Timestamp> parse_compact(std::string_view text);

// "2026-11-23T08:42:32Z" (RFC 3339), the form in manifests. parse_rfc3339 takes fractions and
// numeric offsets too, as the Docker Engine writes them, and drops the fraction.
std::string format_rfc3339(Timestamp time);
std::optional<Timestamp> parse_rfc3339(std::string_view text);

// "90s", "15m", "1h", "14d", "2w", or several joined ("1h30m"). nullopt where it is empty, has a
// sign or no unit, or overflows.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);
// "1h 5m", "3d 4h", "42s": the two largest units.
std::string format_duration(std::chrono::seconds span);

}  // namespace bba
