#include "bba/base/time.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace bba;
using namespace std::chrono;

namespace {

Timestamp at(int y, unsigned m, unsigned d, int h = 0, int min = 0, int s = 0) {
  return sys_days{year{y} / month{m} / day{d}} + hours{h} + minutes{min} + seconds{s};
}

}  // namespace

TEST_CASE("both forms of a time are written and read back") {
  const Timestamp time = at(2026, 11, 23, 8, 42, 32);
  CHECK(format_compact(time) == "20261123T084232Z");
  CHECK(format_rfc3339(time) == "2026-11-23T08:42:32Z");
  CHECK(parse_compact("20261123T084232Z") == time);
  CHECK(parse_rfc3339("2026-11-23T08:42:32Z") == time);
  for (const Timestamp each : {at(1970, 1, 1), at(2024, 2, 29, 23, 59, 59), at(1, 1, 1),
                               at(1969, 12, 31, 23, 59, 59), at(9999, 12, 31, 23, 59, 59)}) {
    CHECK(parse_compact(format_compact(each)) == each);
    CHECK(parse_rfc3339(format_rfc3339(each)) == each);
  }
}

TEST_CASE("times are read as the engine writes them") {
  const Timestamp time = at(2026, 11, 23, 8, 42, 32);
  CHECK(parse_rfc3339("2026-11-23T08:42:32.123456789Z") == time);
  CHECK(parse_rfc3339("2026-11-23T10:42:32+02:00") == time);
  CHECK(parse_rfc3339("2026-11-23T03:12:32.5-05:30") == time);
  CHECK(parse_rfc3339("2026-11-24T08:41:32+23:59") == time);
  CHECK(parse_rfc3339("0001-01-01T00:00:00Z") == at(1, 1, 1));  // never started
}

TEST_CASE("invalid times are refused") {
  for (const std::string text :
       {"", "2026", "20261123T084232", "20261123T084232Zx", "2026112T3084232Z", "20261323T084232Z",
        "20260230T000000Z", "20261123T240000Z", "20261123T006000Z", "20261123t084232z",
        " 20261123T084232Z", "+0261123T084232Z", "2026-11-23T08:42:32Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_compact(text).has_value());
  }
  for (const std::string text :
       {"", "2026-11-23", "2026-11-23T08:42:32", "2026-11-23 08:42:32Z", "2026-11-23T08:42:32.Z",
        "2026-11-23T08:42:32+0200", "2026-11-23T08:42:32+02", "2026-11-23T08:42:32+02:00x",
        "2026-11-23T08:42:32+24:00", "2026-11-23T08:42:32-02:60", "2026-02-30T00:00:00Z",
        "2026-11-23T08:42:61Z", "2026-11-23T08:42:-1Z", "20261123T084232Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text).has_value());
  }
}

TEST_CASE("now() is the current time") {
  const auto before = floor<seconds>(system_clock::now());
  const Timestamp time = now();
  CHECK(time >= before);
  CHECK(time <= system_clock::now());
}

TEST_CASE("time spans are parsed as operators type them") {
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("15m") == 15min);
  CHECK(parse_duration("1h") == 1h);
  CHECK(parse_duration("14d") == 14 * 24h);
  CHECK(parse_duration("2w") == 14 * 24h);
  CHECK(parse_duration("1h30m") == 90min);
  CHECK(parse_duration("0s") == 0s);
  CHECK(parse_duration("36600d") == 36600 * 24h);
}

TEST_CASE("invalid time spans are refused") {
  for (const std::string text :
       {"", "5", "h", "-1h", "+1h", "1h-30m", "1.5h", "1 h", " 1h", "1h ", "1H", "1ms", "1y",
        "36601d", "36600d1s", "9223372036854775807s", "99999999999999999999s", "1h30"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
  }
}

TEST_CASE("time spans are shown in their two largest adjacent units") {
  CHECK(format_duration(0s) == "0s");
  CHECK(format_duration(-5s) == "0s");
  CHECK(format_duration(42s) == "42s");
  CHECK(format_duration(65s) == "1m 5s");
  CHECK(format_duration(1h + 5min + 59s) == "1h 5m");
  CHECK(format_duration(1h + 59s) == "1h");
  CHECK(format_duration(76h + 3s) == "3d 4h");
  CHECK(format_duration(400 * 24h) == "400d");
}
