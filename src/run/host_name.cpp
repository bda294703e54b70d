#include "bba/run/host_name.hpp"

#include <algorithm>
#include <climits>
#include <unistd.h>

namespace bba::run {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "this host";
}

bool same_host(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const auto equal = [&](std::string_view x, std::string_view y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](char c, char d) { return lower(c) == lower(d); });
  };
  // A short name stands for a full one; two full ones must be equal.
  const bool both_full = a.find('.') != a.npos && b.find('.') != b.npos;
  return both_full ? equal(a, b) : equal(a.substr(0, a.find('.')), b.substr(0, b.find('.')));
}

}  // namespace bba::run
