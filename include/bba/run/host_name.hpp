// The names of hosts.
#pragma once

#include <string>
#include <string_view>

namespace bba::run {

// The name of the host that this program runs on.
std::string host_name();
// Whether two names are one host's: "db1" and "DB1.example.org" are.
bool same_host(std::string_view a, std::string_view b);

}  // namespace bba::run
