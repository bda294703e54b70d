// Whether a file of the platform is there at all: most of them are optional.
#pragma once

#include <string>

namespace bba::conf {

// A dangling link counts as there: reading it fails. Throws Error{config} where it is not known.
bool exists(const std::string& path);

}  // namespace bba::conf
