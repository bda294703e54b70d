// Absolute paths as text: one spelling for each, and which lies within which. Nothing here looks at
// a file system.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bba {

// An absolute path without doubled or trailing slashes and "." components; nullopt where it is not
// absolute or has a ".." component, whose meaning depends on links.
std::optional<std::string> normal_path(std::string_view path);

// The directory that an absolute path lies in; of "/" itself "/".
std::string parent_of(const std::string& path);

// The last component of a path, without trailing slashes; of "/" nothing.
std::string base_name(std::string_view path);

// Whether `path` is `parent` or lies below it.
bool lies_within(std::string_view path, std::string_view parent);

}  // namespace bba
