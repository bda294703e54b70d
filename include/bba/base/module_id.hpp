// Module ids: the names that stand in paths, in artifact names and in lock files.
#pragma once

#include <string>
#include <string_view>

namespace bba {

// [a-z0-9][a-z0-9._-]*, at most 100 characters, no "..": an id that is one path component and can
// stand in a file name.
bool valid_module_id(std::string_view id);

// The same, for people.
inline constexpr const char* module_id_rule =
    "a module id has small letters, digits and . _ -, begins with a letter or digit and has no "
    "\"..\"";

// Throws Error{config} with the rule. Called before an id becomes part of a path.
void require_module_id(const std::string& id);

}  // namespace bba
