#include "bba/base/text.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace bba;
using Words = std::vector<std::string>;

TEST_CASE("sizes are formatted for people") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1.0 KiB");
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_bytes((1 << 20) - 1) == "1.0 MiB");  // never "1024.0 KiB"
  CHECK(format_bytes(3435973837) == "3.2 GiB");
  CHECK(format_bytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
}

TEST_CASE("sizes are parsed as people type them") {
  CHECK(parse_bytes("512") == 512u);
  CHECK(parse_bytes("512B") == 512u);
  CHECK(parse_bytes("64MiB") == 64u << 20);
  CHECK(parse_bytes("64 MiB") == 64u << 20);
  CHECK(parse_bytes("10GB") == 10'000'000'000u);
  CHECK(parse_bytes("1TiB") == std::uint64_t{1} << 40);
  CHECK(parse_bytes("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  for (const std::string text : {"", "MiB", "80%", "12.5k", "1.5GiB", "-1", "+1", "1 2", "1mib",
                                 "0x10", "18446744073709551616", "16777216TiB", " 1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_bytes(text).has_value());
  }
}

TEST_CASE("the length of a UTF-8 sequence") {
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length("\xc3\xa9x") == 2);
  CHECK(utf8_length("\xe2\x82\xac") == 3);
  CHECK(utf8_length("\xf0\x9f\x92\xbe") == 4);
  CHECK(utf8_length("\xf4\x8f\xbf\xbf") == 4);  // U+10FFFF
  for (const std::string bad :
       {"\x80", "\xc3", "\xc3(", "\xe2\x82", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    CAPTURE(printable(bad));
    CHECK(utf8_length(bad) == 0);
  }
}

TEST_CASE("text is printed on one line, and none of its bytes act as terminal commands") {
  CHECK(printable("plain") == "plain");
  CHECK(printable("") == "");
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(printable("\x1b[31m") == "\\x1b[31m");
  CHECK(printable(std::string_view("\0\x7f", 2)) == "\\x00\\x7f");
  CHECK(printable("caf\xc3\xa9 \xf0\x9f\x92\xbe") == "caf\xc3\xa9 \xf0\x9f\x92\xbe");
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");  // U+009B is CSI in one character
  CHECK(printable("\xc2\xa0") == "\xc2\xa0");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
}

TEST_CASE("the most similar names are suggested, and no others") {
  const Words names{"postgres", "honcho-postgres", "redis", "honcho-redis", "vault", "minio"};
  CHECK(nearest("postgers", names, 3) == Words{"postgres"});
  CHECK(nearest("redis", names, 3) == Words{"redis", "honcho-redis"});
  CHECK(nearest("postgres", names, 1) == Words{"postgres"});
  CHECK(nearest("valt", names, 3) == Words{"vault"});
  CHECK(nearest("prometheus", names, 3).empty());
  CHECK(nearest("x", Words{}, 3).empty());
  CHECK(nearest("redis", names, 0).empty());
  CHECK(nearest(std::string(10'000, 'a'), names, 3).empty());
  CHECK(nearest("redis", Words{std::string(10'000, 'a'), "redis", "redis"}, 3) == Words{"redis"});
}

TEST_CASE("join, trimmed and split") {
  CHECK(join(Words{}, ", ").empty());
  CHECK(join(Words{"a"}, ", ") == "a");
  CHECK(join(Words{"a", "", "b"}, ", ") == "a, , b");
  CHECK(trimmed(" \t a b \r\n") == "a b");
  CHECK(trimmed(" \n ").empty());
  CHECK(trimmed("").empty());
  using Views = std::vector<std::string_view>;
  CHECK(split("", ',') == Views{""});
  CHECK(split("a", ',') == Views{"a"});
  CHECK(split(",a,,b,", ',') == Views{"", "a", "", "b", ""});
}

TEST_CASE("argv is quoted for a shell") {
  CHECK(shell_quoted(Words{}).empty());
  CHECK(shell_quoted(Words{"pg_dumpall", "-w", "--lock-wait-timeout=10"}) ==
        "pg_dumpall -w --lock-wait-timeout=10");
  CHECK(shell_quoted(Words{"a b", "", "it's", "$(x)", "*", "~", "a\nb", "#", "-"}) ==
        "'a b' '' 'it'\\''s' '$(x)' '*' '~' 'a\nb' '#' -");
}

TEST_CASE("glob patterns match whole texts") {
  const auto matches = [](const char* pattern, const char* text) {
    return glob_match(pattern, text);
  };
  CHECK(matches("", ""));
  CHECK(matches("*", ""));
  CHECK(matches("**", "x"));
  CHECK(matches("*postgres", "postgres"));
  CHECK(matches("*postgres", "honcho-postgres"));
  CHECK(matches("*postgres", "postgres-postgres"));
  CHECK(matches("a?c", "abc"));
  CHECK(matches("*a*b*", "xxaxxbxx"));
  CHECK(matches("a*b*c", "a-b-b-c"));
  CHECK(matches("*/*", "a/b"));
  CHECK_FALSE(matches("", "a"));
  CHECK_FALSE(matches("?", ""));
  CHECK_FALSE(matches("*postgres", "postgres-2"));
  CHECK_FALSE(matches("a?c", "ac"));
  CHECK_FALSE(matches("[ab]", "a"));
  CHECK_FALSE(matches("*a*b*", "xxbxxaxx"));
}

TEST_CASE("a pattern of many stars is matched in little time") {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  CHECK_FALSE(glob_match(pattern + "*b", std::string(10'000, 'a')));
}
