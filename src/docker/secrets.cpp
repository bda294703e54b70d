#include "bba/docker/secrets.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "bba/base/text.hpp"

namespace bba::docker {

namespace {

bool is_secret(std::string_view name) {
  constexpr std::array parts{"TOKEN", "PASSWORD", "AUTH", "SECRET", "KEY", "MC_HOST_"};
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return name.find(part) != name.npos; });
}

// Of scheme://user:password@host; empty where there is none.
std::string_view password_in(std::string_view address) {
  const std::size_t scheme = address.find("://");
  const std::size_t host = address.rfind('@');
  if (scheme == address.npos || host == address.npos) return {};
  const std::size_t begin = address.find(':', scheme + 3);
  return begin < host ? address.substr(begin + 1, host - begin - 1) : std::string_view();
}

void replace_all(std::string& words, std::string_view secret, const std::string& name) {
  constexpr std::size_t shortest = 4;  // a shorter one would match everywhere
  if (secret.size() < shortest) return;
  const std::string sign = "[" + name + "]";
  for (std::size_t at = 0; (at = words.find(secret, at)) != words.npos; at += sign.size()) {
    words.replace(at, secret.size(), sign);
  }
}

}  // namespace

std::string without_secrets(std::string words, const std::vector<wire::EnvVar>& env) {
  for (const wire::EnvVar& variable : env) {
    if (is_secret(variable.name)) replace_all(words, variable.value, variable.name);
    replace_all(words, password_in(variable.value), variable.name);
  }
  return words;
}

std::string last_output(std::string_view text) {
  text = trimmed(text);
  constexpr std::size_t most = 400;
  if (text.size() > most) text.remove_prefix(text.size() - most);
  return std::string(text);
}

std::string failure_output(const ExecResult& result, const std::vector<wire::EnvVar>& env) {
  const std::string_view words = trimmed(result.err.empty() ? result.out : result.err);
  return without_secrets(std::string(words), env).substr(0, 300);
}

bool not_started(const ExecResult& result) {
  return result.exit_code == 126 || result.exit_code == 127;
}

}  // namespace bba::docker
