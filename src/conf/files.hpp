// Whether a file of the platform is there at all: most of them are optional.
#pragma once

#include <string>

namespace bba::conf {

// A link that leads nowhere is there, and reading it says so. Throws Error{config} where it cannot
// be told.
bool exists(const std::string& path);

}  // namespace bba::conf
