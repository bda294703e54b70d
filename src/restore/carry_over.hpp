// What a built directory takes from the live one: files that no artifact holds, and what a
// directory has besides its content.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bba::restore {

struct CarriedOver {
  std::vector<std::string> paths;  // below the live directory: "/postgresql.conf"
  // Not taken, as the built directory has no directory for them.
  std::vector<std::string> without_place;
};

// Copies each entry below `live` for which `wanted` holds, with all that lies below it, with owner,
// mode, times and extended attributes. One of that name in `built` is replaced. Sockets are left
// out. Throws Error{storage}.
CarriedOver carry_over(const std::string& live, const std::string& built,
                       const std::function<bool(const std::string& path)>& wanted);

// Gives the root of `built` the owner, mode and extended attributes (an SELinux context is one) of
// the root of `live`, and its project id (quota). Throws Error{storage}.
void carry_over_root(const std::string& live, const std::string& built, bool owner_and_mode);

}  // namespace bba::restore
