// JSON (RFC 8259). The only header that includes nlohmann/json. Objects keep the order in which
// they were written, so that a manifest reads from the general to the particular.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

// Compiled once, in json.cpp, and not in every source that includes this.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace bba {

using Json = nlohmann::ordered_json;

// Never throws: nullopt where `text` is not one whole JSON value, or nests deeper than 64.
std::optional<Json> parse_json(std::string_view text);

// What an object holds under `key`, in the type wanted; nullopt where the key is missing, null or
// of another type. None of them throws, so they can be used on anything a peer sends.
const Json* member(const Json& object, std::string_view key);
std::optional<std::string> string_member(const Json& object, std::string_view key);
std::optional<std::int64_t> int_member(const Json& object, std::string_view key);
std::optional<std::uint64_t> size_member(const Json& object, std::string_view key);
std::optional<bool> bool_member(const Json& object, std::string_view key);

// One line; bytes that are not UTF-8 are replaced by U+FFFD instead of throwing.
std::string dump_json(const Json& value);
// Indented by two, with a newline at the end: for files and terminals.
std::string pretty_json(const Json& value);

}  // namespace bba
