#include "bba/base/time.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

#include "bba/base/text.hpp"

namespace bba {

namespace {

using namespace std::chrono;

// Exactly `width` digits at the front of `text`, which moves past them.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, width)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, std::string_view wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(wanted.size());
  return true;
}

struct Fields {
  std::string_view date_separator, between, time_separator;
};

std::optional<Timestamp> take_fields(std::string_view& text, const Fields& form) {
  const auto y = take_digits(text, 4);
  if (!y || !take(text, form.date_separator)) return std::nullopt;
  const auto m = take_digits(text, 2);
  if (!m || !take(text, form.date_separator)) return std::nullopt;
  const auto d = take_digits(text, 2);
  if (!d || !take(text, form.between)) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h || !take(text, form.time_separator)) return std::nullopt;
  const auto min = take_digits(text, 2);
  if (!min || !take(text, form.time_separator)) return std::nullopt;
  const auto s = take_digits(text, 2);
  if (!s) return std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*m)},
                            day{static_cast<unsigned>(*d)}};
  if (!date.ok() || *h > 23 || *min > 59 || *s > 60) return std::nullopt;
  return sys_days{date} + hours{*h} + minutes{*min} + seconds{*s};
}

std::string format_fields(Timestamp time, const Fields& form) {
  const auto day_start = floor<days>(time);
  const year_month_day date{day_start};
  const hh_mm_ss clock{time - day_start};
  return fmt::format("{0:04}{6}{1:02}{6}{2:02}{7}{3:02}{8}{4:02}{8}{5:02}Z",
                     static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), form.date_separator,
                     form.between, form.time_separator);
}

constexpr Fields compact{"", "T", ""};
constexpr Fields rfc3339{"-", "T", ":"};

struct Unit {
  std::string_view name;
  std::int64_t seconds;
};
constexpr std::array units{Unit{"w", 604800}, Unit{"d", 86400}, Unit{"h", 3600}, Unit{"m", 60},
                           Unit{"s", 1}};

}  // namespace

Timestamp now() {
  return floor<seconds>(system_clock::now());
}

std::string format_compact(Timestamp time) {
  return format_fields(time, compact);
}
std::string format_rfc3339(Timestamp time) {
  return format_fields(time, rfc3339);
}

std::optional<Timestamp> parse_compact(std::string_view text) {
  const auto time = take_fields(text, compact);
  return time && text == "Z" ? time : std::nullopt;
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
  const auto time = take_fields(text, rfc3339);
  if (!time) return std::nullopt;
  if (take(text, ".")) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
  }
  if (text == "Z") return time;
  const bool behind = text.starts_with('-');
  if (!take(text, "+") && !take(text, "-")) return std::nullopt;
  const auto h = take_digits(text, 2);
  if (!h || !take(text, ":")) return std::nullopt;
  const auto min = take_digits(text, 2);
  if (!min || !text.empty() || *h > 23 || *min > 59) return std::nullopt;
  const auto offset = hours{*h} + minutes{*min};
  return behind ? *time + offset : *time - offset;
}

std::optional<seconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || count < 0 || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const Unit& candidate : units) {
      if (take(text, candidate.name)) {
        unit = &candidate;
        break;
      }
    }
    if (unit == nullptr) return std::nullopt;
    // A century is longer than anything meant here, and keeps the arithmetic from overflowing.
    constexpr std::int64_t most = 100LL * 366 * 86400;
    if (count > most / unit->seconds) return std::nullopt;
    total += count * unit->seconds;
    if (total > most) return std::nullopt;
  }
  return seconds{total};
}

std::string format_duration(seconds span) {
  std::int64_t rest = span.count();
  if (rest <= 0) return "0s";
  std::string text;
  int shown = 0;
  for (const Unit& unit : units) {
    if (unit.name == "w") continue;
    const std::int64_t count = rest / unit.seconds;
    rest %= unit.seconds;
    if (count == 0) {
      if (shown > 0) break;
      continue;
    }
    if (shown > 0) text += ' ';
    text += fmt::format("{}{}", count, unit.name);
    if (++shown == 2) break;
  }
  return text;
}

}  // namespace bba
