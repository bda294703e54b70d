// Text for people: sizes, suggestions for misspelt names, visible control characters. The only
// header that includes fmt.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace bba {

// Bytes with a binary unit and one decimal: "0 B", "17 B", "1.5 KiB", "3.2 GiB".
std::string format_bytes(std::uint64_t bytes);
// "64MiB", "10GB" or "512"; nullopt for anything else, as "80%" or "12.5k".
std::optional<std::uint64_t> parse_bytes(std::string_view text);

// The length of the UTF-8 sequence (RFC 3629) that the non-empty `text` begins with, 0 where it is
// not valid.
std::size_t utf8_length(std::string_view text);
// `text` on one line: control characters and bytes that are not UTF-8 as \n, \t, \x1b.
std::string printable(std::string_view text);

// The up to `most` names nearest to `wanted` by edit distance, nearest first; names too different
// to be a typo are left out.
std::vector<std::string> nearest(std::string_view wanted, std::span<const std::string> names,
                                 std::size_t most);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trimmed(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
// The parts would refer to a string that is gone.
template <std::same_as<std::string> Text>
void split(Text&& text, char separator) = delete;
// Shell-quoted argv, for people who paste it: 'a b' c.
std::string shell_quoted(std::span<const std::string> argv);
// Shell-style pattern match with * and ? (no character classes; they match slashes, too).
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace bba
