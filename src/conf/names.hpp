// Names that this room takes from files and lets through to paths and to the engine.
#pragma once

#include <string_view>

namespace bba::conf {

// The Docker Engine's own rule: [a-zA-Z0-9][a-zA-Z0-9_.-]*.
bool valid_container_name(std::string_view name);

}  // namespace bba::conf
