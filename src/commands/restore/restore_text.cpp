// What a restore is about to do, and what it has done: for people, and as JSON.
#include "bba/base/text.hpp"
#include "bba/commands/restore.hpp"

namespace bba::commands {

namespace {

std::string state_of(const run::HeldContainer& user) {
  return user.ran ? "stopped, and started again" : "does not run, and stays so";
}

std::string title_of(const RestorePlan& plan) {
  if (plan.is_undo) {
    return fmt::format("undo of the restore of {} of module {}\n", format_rfc3339(plan.taken),
                       plan.module);
  }
  return fmt::format("{} of module {} to the state of {} ({})\n",
                     !plan.replaced.empty() ? "rollback" : "restore", plan.module,
                     format_rfc3339(plan.taken), plan.set);
}

std::string in_place_plan_text(const RestorePlan& plan) {
  std::string text =
      plan.is_undo
          ? fmt::format("undo of the restore in place of module {}, to the state of {} ({})\n",
                        plan.module, format_rfc3339(plan.taken), plan.set)
          : fmt::format("restore of module {} in place to the state of {} ({})\n", plan.module,
                        format_rfc3339(plan.taken), plan.set);
  text += fmt::format(
      "  NOT ONE STEP: {} runs on meanwhile, and its clients see what is half done. Stop those that "
      "write:\n  what they write from now on can be lost\n",
      plan.container);
  for (const std::string& step : plan.steps) text += "  - " + printable(step) + "\n";
  for (const std::string& note : plan.notes) text += "  note: " + printable(note) + "\n";
  return text;
}

std::string in_place_text(const RestoreResult& result) {
  const RestorePlan& plan = result.plan;
  std::string text;
  for (const std::string& line : result.outcome.lines) text += printable(line) + "\n";
  for (const std::string& line : result.needs_hand) text += "to do: " + printable(line) + "\n";
  text += fmt::format(
      "{} {}; it ran on\n", plan.container,
      plan.is_undo ? "has again what it had before the restore" : "has what was restored");
  return text + fmt::format(
                    "{} is in the safety set {}: `backup-before-apply restore {} --undo` brings it "
                    "back\n",
                    plan.is_undo ? "what was restored" : "what it had before", result.safety_set,
                    plan.module);
}

}  // namespace

std::string restore_plan_text(const RestorePlan& plan) {
  if (plan.in_place) return in_place_plan_text(plan);
  std::string text = title_of(plan);
  text += "  exchanged\n";
  for (const RestorePlan::Exchange& one : plan.exchanges) {
    text += fmt::format("    {} ({})\n      with {}\n", one.destination, one.directory, one.with);
  }
  for (const RestorePlan::Replaced& one : plan.replaced) {
    text += plan.is_undo
                ? fmt::format("  container {}\n    exchanged with the one that was put aside\n",
                              one.container)
                : fmt::format(
                      "  container {}\n    made anew from {}, as it was when it was backed "
                      "up; the present one is put aside\n",
                      one.container, one.image);
  }
  text += "  containers that use it\n";
  for (const run::HeldContainer& user : plan.users) {
    text += fmt::format("    {}: {}\n", user.name, state_of(user));
  }
  for (const std::string& note : plan.notes) text += "  note: " + note + "\n";
  return text;
}

Json restore_plan_json(const RestorePlan& plan) {
  Json exchanges = Json::array();
  for (const RestorePlan::Exchange& one : plan.exchanges) {
    exchanges.push_back(
        {{"destination", one.destination}, {"directory", one.directory}, {"with", one.with}});
  }
  Json users = Json::array();
  for (const run::HeldContainer& user : plan.users) {
    users.push_back({{"container", user.name}, {"running", user.ran}});
  }
  Json replaced = Json::array();
  for (const RestorePlan::Replaced& one : plan.replaced) {
    replaced.push_back({{"container", one.container}, {"image", one.image}});
  }
  return {{"module", plan.module},
          {"container", plan.container},
          {"undo", plan.is_undo},
          {"set", plan.set},
          {"time", format_rfc3339(plan.taken)},
          {"exchanges", std::move(exchanges)},
          {"users", std::move(users)},
          {"replaced", std::move(replaced)},
          {"compose_override", plan.compose_override},
          {"in_place", plan.in_place},
          {"steps", plan.steps},
          {"notes", plan.notes}};
}

std::string restore_text(const RestoreResult& result) {
  if (result.plan.in_place) return in_place_text(result);
  const RestorePlan& plan = result.plan;
  std::string text;
  for (const std::string& line : result.outcome.lines) text += line + "\n";
  for (const std::string& path : result.outcome.carried_over) {
    text += "kept as it was: " + path + "\n";
  }
  text += fmt::format(
      "{}: {}; it was down for {:.1f} s\n", plan.container,
      plan.is_undo ? "has again what it had before the restore" : "has what was restored",
      result.outcome.down.count());
  text += fmt::format(
      "{} is parked: `backup-before-apply restore {} --undo` brings it back, "
      "`backup-before-apply prune {} --parked` removes it\n",
      plan.is_undo ? "what was restored" : "what it had before", plan.module, plan.module);
  for (const std::string& name : result.outcome.put_aside) {
    text += fmt::format("container {} is the one that was replaced: it does not run\n", name);
  }
  if (!result.outcome.put_aside.empty()) {
    text +=
        "never start it: it would change what was restored. `docker compose start` and `docker "
        "compose restart` do, as it has the labels of the service\n";
  }
  for (std::size_t i = 0; i < plan.services && i < plan.users.size(); ++i) {
    if (plan.users[i].ran) continue;
    text += fmt::format("{} did not run before, and was stopped again: docker start {}\n",
                        plan.users[i].name, plan.users[i].name);
  }
  if (!plan.compose_override.empty()) {
    text +=
        "`docker compose up` would bring the other image back. Until the compose file names this "
        "one, keep it in compose.override.yaml:\n" +
        plan.compose_override;
  }
  if (!result.outcome.keeper.empty()) {
    text += fmt::format(
        "container {} keeps the parked volumes from `docker volume prune`; `docker "
        "system prune --volumes` removes both\n",
        result.outcome.keeper);
  }
  return text;
}

Json restore_json(const RestoreResult& result) {
  Json json = restore_plan_json(result.plan);
  json["down_seconds"] = result.outcome.down.count();
  json["compared"] = result.outcome.lines;
  json["not_proven"] = result.outcome.not_proven;
  json["carried_over"] = result.outcome.carried_over;
  json["keeper"] = result.outcome.keeper;
  json["put_aside"] = result.outcome.put_aside;
  json["safety_set"] = result.safety_set;
  return json;
}

}  // namespace bba::commands
