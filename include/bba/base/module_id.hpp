// Module ids: the names that stand in paths, in artifact names and in lock files.
#pragma once

#include <string_view>

namespace bba {

// [a-z0-9][a-z0-9._-]*, at most 100 characters, no "..": an id that is one path component and can
// stand in a file name.
bool valid_module_id(std::string_view id);

}  // namespace bba
