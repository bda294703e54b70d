// Names that this room takes from files and lets through to paths and to the engine.
#pragma once

#include <string>
#include <string_view>

namespace bba::conf {

inline constexpr const char* module_id_rule =
    "a module id has small letters, digits and . _ -, begins with a letter or digit and has no "
    "\"..\"";

// Throws Error{config}. Called before an id becomes part of a path.
void require_module_id(const std::string& id);

// The Docker Engine's own rule: [a-zA-Z0-9][a-zA-Z0-9_.-]*.
bool valid_container_name(std::string_view name);

}  // namespace bba::conf
