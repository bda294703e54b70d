// Chooses the modules whose first backup could hurt the least, and puts them in order.
#include "first_runs.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "bba/base/text.hpp"
#include "bba/services/registry.hpp"

namespace bba::commands {

namespace {

// Names of services that many others need, where no compose stack says so.
constexpr std::array core_names{"*proxy*",  "*gateway*", "*dns*",   "adguard*",  "pihole*",
                                "traefik*", "caddy*",    "nginx*",  "registry*", "deploy-*",
                                "git-*",    "gitea*",    "gitlab*", "forgejo*"};
constexpr std::array core_stacks{"core", "edge", "base"};
// Words in the names of services that guard secrets, or hold many.
constexpr std::array sensitive_words{
    "vault", "infisical",  "openbao", "auth",  "secret", "keycloak", "sso", "ldap",
    "passw", "credential", "cert",    "token", "oidc",   "mail",     "vpn", "wireguard"};

bool is_core(const AuditRow& row) {
  if (std::find(core_stacks.begin(), core_stacks.end(), row.stack) != core_stacks.end())
    return true;
  return std::any_of(core_names.begin(), core_names.end(),
                     [&](const char* pattern) { return glob_match(pattern, row.module); });
}

bool is_sensitive(const AuditRow& row) {
  const std::string image = conf::image_repository(row.image);
  return std::any_of(sensitive_words.begin(), sensitive_words.end(), [&](const char* word) {
    return row.module.find(word) != std::string::npos || image.find(word) != std::string::npos;
  });
}

struct Size {
  bool known = true;
  std::uint64_t bytes = 0;
};

Size size_of(const AuditRow& row) {
  Size size;
  for (const AuditData& data : row.data) {
    if (!data.size || !data.size->whole) size.known = false;
    if (data.size) size.bytes += data.size->bytes;
  }
  return size;
}

}  // namespace

std::vector<FirstRun> first_runs(const std::vector<AuditRow>& rows) {
  std::vector<const AuditRow*> fit;
  for (const AuditRow& row : rows) {
    const Size size = size_of(row);
    if (services::service_by_letter(row.module_class)->suits_first_run() &&
        row.ready == Ready::yes && row.through.empty() && row.state == "running" &&
        row.sharing.empty() && !row.last_backup && !is_core(row) && !is_sensitive(row) &&
        size.bytes <= small_enough) {
      fit.push_back(&row);
    }
  }
  const auto rank = [](const AuditRow* row) {
    const Size size = size_of(*row);
    return std::make_tuple(!size.known, size.bytes, row->data.size(), row->module);
  };
  std::sort(fit.begin(), fit.end(),
            [&](const AuditRow* a, const AuditRow* b) { return rank(a) < rank(b); });
  std::vector<FirstRun> runs;
  for (const AuditRow* row : fit) {
    const Size size = size_of(*row);
    runs.push_back(
        {row->module, row->module_class,
         fmt::format("class {}, {}; {}{}; running; no shared data; nothing secret by name",
                     row->module_class,
                     row->stack.empty() ? "in no compose stack" : "stack " + row->stack,
                     size.known ? format_bytes(size.bytes) : "size not known",
                     row->data.size() == 1 ? "" : fmt::format(" in {} mounts", row->data.size()))});
  }
  return runs;
}

}  // namespace bba::commands
