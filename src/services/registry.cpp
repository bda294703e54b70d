#include "bba/services/registry.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/services/files.hpp"
#include "services/compose_project/compose_project.hpp"
#include "services/mariadb/mariadb.hpp"
#include "services/minio/minio.hpp"
#include "services/postgres/postgres.hpp"
#include "services/redis/redis.hpp"
#include "services/vault/vault.hpp"

namespace bba::services {

namespace {

std::vector<conf::ClassRule> default_rules() {
  std::vector<conf::ClassRule> rules;
  for (const service::Service* one : all_services()) {
    conf::ClassRule rule = one->default_rule();
    if (!rule.modules.empty() || !rule.images.empty()) rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace

const std::vector<const service::Service*>& all_services() {
  static const std::vector<const service::Service*> services{
      // Before those whose patterns would match the names of its modules, too.
      &compose_project::compose_project(),
      &files::unproven_engine(),
      &postgres::postgres(),
      &redis::redis(),
      &vault::vault(),
      &minio::minio(),
      &mariadb::mariadb(),
      // What no rule matches.
      &files::files(),
  };
  return services;
}

const std::vector<const service::ArtifactKind*>& all_kinds() {
  static const std::vector<const service::ArtifactKind*> kinds{
      &postgres::dump_kind(), &redis::directory_kind(), &vault::snapshot_kind(),
      &minio::objects_kind(), &mariadb::dump_kind(),    &compose_project::host_directory_kind(),
      &files::tar_kind(),
  };
  return kinds;
}

std::string letters() {
  std::string all;
  for (const service::Service* one : all_services()) all += one->letter();
  std::sort(all.begin(), all.end());
  return all;
}

const service::Service* service_by_letter(char letter) {
  for (const service::Service* one : all_services()) {
    if (one->letter() == letter) return one;
  }
  return nullptr;
}

const service::ArtifactKind* kind_by_name(std::string_view name) {
  for (const service::ArtifactKind* one : all_kinds()) {
    if (one->name() == name) return one;
  }
  return nullptr;
}

const service::ArtifactKind& require_kind(std::string_view name) {
  if (const service::ArtifactKind* kind = kind_by_name(name)) return *kind;
  throw Error(ErrorKind::artifact,
              fmt::format("this version knows no kind of artifact called \"{}\"", name));
}

conf::ClassChoice class_of(const conf::Config& config, const std::string& module,
                           const std::string& image) {
  const auto settings = config.modules.find(module);
  if (settings != config.modules.end() && settings->second.module_class) {
    return {*settings->second.module_class, "configuration modules." + module + ".class"};
  }
  static const std::vector<conf::ClassRule> built_in = default_rules();
  const auto& rules = config.class_rules.empty() ? built_in : config.class_rules;
  if (const auto choice = conf::choose_class(rules, module, image)) return *choice;
  const char everything_else = files::files().letter();
  return {everything_else,
          fmt::format("nothing matches: everything else is class {}", everything_else)};
}

service::Capture plan(const service::PlanInputs& inputs) {
  const service::Service* asked = service_by_letter(inputs.target.module_class);
  if (asked == nullptr) {
    throw Error(ErrorKind::config, fmt::format("'{}' is not a class", inputs.target.module_class));
  }
  service::Capture capture = asked->plan(inputs);
  capture.service = asked;
  if (capture.if_refused) {
    service::Capture otherwise = *capture.if_refused;
    otherwise.service = asked;
    capture.if_refused = std::make_shared<const service::Capture>(std::move(otherwise));
  }
  return capture;
}

}  // namespace bba::services
