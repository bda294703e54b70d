#include "bba/run/replace_container.hpp"

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::run {

namespace {

constexpr std::string_view infix = "-replaced-";

// Gives `taker` the name, and `leaver` another one. One that is gone has none.
void give_name(docker::Engine& engine, const std::string& taker, const std::string& name,
               const std::string& leaver, const std::string& other) {
  const auto taking = engine.find(taker);
  auto leaving = engine.find(leaver);
  if (taking && taking->name != name) {
    if (leaving && leaving->name == name) {
      // Both names are taken, so one of the two needs a third for a moment.
      engine.rename_container(leaver, other + "-" + leaver.substr(0, 12));
      leaving = engine.find(leaver);
    }
    engine.rename_container(taker, name);
  }
  if (leaving && leaving->name != other) engine.rename_container(leaver, other);
}

}  // namespace

Json to_json(const Replacement& replacement) {
  return {{"old_id", replacement.old_id},
          {"new_id", replacement.new_id},
          {"name", replacement.name},
          {"aside", replacement.aside},
          {"restart_policy", replacement.restart_policy}};
}

std::optional<Replacement> replacement_from(const Json& json) {
  const auto old_id = string_member(json, "old_id");
  const auto new_id = string_member(json, "new_id");
  const auto name = string_member(json, "name");
  const auto aside = string_member(json, "aside");
  const Json* policy = member(json, "restart_policy");
  if (!old_id || !new_id || !name || !aside || policy == nullptr) return std::nullopt;
  return Replacement{*old_id, *new_id, *name, *aside, *policy};
}

std::string name_of_replaced(const std::string& name, Timestamp time) {
  return name + std::string(infix) + format_compact(time);
}

bool is_name_of_replaced(std::string_view name) {
  const std::size_t at = name.rfind(infix);
  return at != name.npos && at > 0 && parse_compact(name.substr(at + infix.size())).has_value();
}

bool is_replaced(docker::Engine& engine, const Replacement& replacement) {
  const auto container = engine.find(replacement.new_id);
  return container && container->name == replacement.name;
}

void replace(docker::Engine& engine, const Replacement& replacement) {
  with_context("replacing container " + replacement.name, [&] {
    give_name(engine, replacement.new_id, replacement.name, replacement.old_id, replacement.aside);
  });
}

void reverse_replacement(docker::Engine& engine, const Replacement& replacement) {
  with_context("putting container " + replacement.name + " back", [&] {
    give_name(engine, replacement.old_id, replacement.name, replacement.new_id, replacement.aside);
  });
}

}  // namespace bba::run
