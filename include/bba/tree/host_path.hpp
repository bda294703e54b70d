// What this host sees at a path.
#pragma once

#include <string>

namespace bba::tree {

enum class SourceKind { directory, file, other, unreachable };
// Links are followed.
SourceKind source_kind(const std::string& path);

// `path`, absolute, with links followed as far as there is something; as it is where this host
// cannot tell.
std::string resolved(const std::string& path);

}  // namespace bba::tree
