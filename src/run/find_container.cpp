#include "bba/run/find_container.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "bba/run/replace_container.hpp"

namespace bba::run {

namespace {

using Containers = std::vector<wire::ContainerSummary>;

std::string label(const wire::ContainerSummary& container, const std::string& key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? std::string() : found->second;
}

bool has_name(const wire::ContainerSummary& container, const std::string& name) {
  return std::find(container.names.begin(), container.names.end(), name) != container.names.end();
}

// What is left of "<project>-<id>-N" or "<project>_<id>_N", as Compose names its containers,
// without the end that says <id>; nullopt for any other name. A project of this name need not be:
// in "lab-ledger-postgres-1" the service may be "postgres" of "lab-ledger", or "ledger-postgres" of
// "lab".
std::optional<std::string_view> before_id(std::string_view name, std::string_view id) {
  for (const char separator : {'-', '_'}) {
    const std::size_t number = name.rfind(separator);
    if (number == name.npos || number + 1 == name.size() ||
        name.find_first_not_of("0123456789", number + 1) != name.npos) {
      continue;
    }
    const std::string_view service = name.substr(0, number);
    if (service.size() > id.size() + 1 && service.ends_with(id) &&
        service[service.size() - id.size() - 1] == separator) {
      return service.substr(0, service.size() - id.size() - 1);
    }
  }
  return std::nullopt;
}

// The projects that a container may be of: its label says which one or, where Compose has left no
// label at all, one of those that the platform's files name.
std::vector<std::string> projects_of(const wire::ContainerSummary& container,
                                     const LookupClues& clues) {
  const std::string own = label(container, "com.docker.compose.project");
  if (!own.empty()) return {own};
  const bool labelled =
      std::any_of(container.labels.begin(), container.labels.end(),
                  [](const auto& one) { return one.first.starts_with("com.docker.compose."); });
  return labelled ? std::vector<std::string>{} : clues.projects;
}

bool has_compose_name(const wire::ContainerSummary& container, const LookupClues& clues) {
  const std::vector<std::string> projects = projects_of(container, clues);
  return std::any_of(container.names.begin(), container.names.end(), [&](const std::string& name) {
    const auto project = before_id(name, clues.module);
    return project && std::find(projects.begin(), projects.end(), *project) != projects.end();
  });
}

// Compose's own label is more reliable than any name.
bool is_another_service(const wire::ContainerSummary& container, const std::string& module) {
  const std::string service = label(container, "com.docker.compose.service");
  return !service.empty() && service != module;
}

// By name, or by an id of at least 12 characters, as `docker` takes them.
Containers by_reference(const Containers& all, const std::string& reference) {
  Containers found;
  for (const wire::ContainerSummary& one : all) {
    if (has_name(one, reference) || (reference.size() >= 12 && one.id.starts_with(reference))) {
      found.push_back(one);
    }
  }
  return found;
}

template <class Predicate>
Containers matching(const Containers& all, Predicate predicate) {
  Containers found;
  std::copy_if(all.begin(), all.end(), std::back_inserter(found), predicate);
  return found;
}

// Neither those of `compose run` nor what a rollback has put aside.
Containers lasting(const Containers& listed) {
  return matching(listed, [](const wire::ContainerSummary& container) {
    return !is_one_off(container) && !is_name_of_replaced(wire::name_of(container));
  });
}

// The error where none was found, with the nearest names.
Error none(const std::string& what, const std::string& wanted, const Containers& listed,
           const LookupClues& clues) {
  const Containers others = passed_over(clues, listed);
  std::vector<std::string> names;
  for (const wire::ContainerSummary& one : lasting(listed)) {
    const bool told = std::any_of(others.begin(), others.end(),
                                  [&](const auto& other) { return other.id == one.id; });
    if (told) continue;
    names.push_back(wire::name_of(one));
    const std::string service = label(one, "com.docker.compose.service");
    if (!service.empty()) names.push_back(service);
  }
  const std::vector<std::string> close = nearest(wanted, names, 5);
  std::string hint = close.empty() ? "see `docker ps -a` for what there is"
                                   : "did you mean " + join(close, ", ") + "?";
  if (!others.empty()) {
    std::vector<std::string> said;
    for (const wire::ContainerSummary& one : others) {
      said.push_back(
          fmt::format("{} ({})", wire::name_of(one), label(one, "com.docker.compose.service")));
    }
    std::sort(said.begin(), said.end());
    hint = fmt::format(
        "passed over, being of another compose service: {}; if you mean one of them, name it with "
        "--container, or in the configuration with modules.{}.container{}",
        join(said, ", "), clues.module, close.empty() ? "" : "; " + hint);
  }
  if (!clues.unread.empty()) {
    hint = fmt::format("repair this, as it may name the container: {}; {}",
                       join(clues.unread, "; "), hint);
  }
  return Error(ErrorKind::container, what, hint);
}

}  // namespace

bool is_one_off(const wire::ContainerSummary& container) {
  const std::string oneoff = label(container, "com.docker.compose.oneoff");
  return oneoff == "True" || oneoff == "true";
}

Candidates candidates(const LookupClues& clues, const Containers& listed) {
  const Containers all = lasting(listed);
  // A name that was given is final: where it is not there, no other step may guess.
  if (clues.option) return {by_reference(all, *clues.option), "--container " + *clues.option};
  if (clues.configured) {
    return {by_reference(all, *clues.configured),
            "configuration modules." + clues.module + ".container"};
  }
  Containers found = matching(all, [&](const wire::ContainerSummary& one) {
    return label(one, "com.docker.compose.service") == clues.module;
  });
  if (!found.empty()) {
    return {std::move(found), "label com.docker.compose.service=" + clues.module};
  }
  // From here on only names decide.
  const Containers nameable = matching(all, [&](const wire::ContainerSummary& one) {
    return !is_another_service(one, clues.module);
  });
  for (const std::string& name : clues.compose_names) {
    found = by_reference(nameable, name);
    if (!found.empty()) {
      return {std::move(found), "container_name " + name + " in the compose files"};
    }
  }
  for (const std::string& name : clues.runbook_names) {
    found = by_reference(nameable, name);
    if (!found.empty()) return {std::move(found), "name " + name + " in the module's runbook"};
  }
  found = matching(nameable,
                   [&](const wire::ContainerSummary& one) { return has_name(one, clues.module); });
  if (!found.empty()) return {std::move(found), "the name " + clues.module};
  found = matching(nameable,
                   [&](const wire::ContainerSummary& one) { return has_compose_name(one, clues); });
  return {std::move(found), "a name like <project>-" + clues.module + "-1"};
}

Containers passed_over(const LookupClues& clues, const Containers& listed) {
  if (clues.option || clues.configured) return {};
  std::vector<std::string> written = clues.compose_names;
  written.insert(written.end(), clues.runbook_names.begin(), clues.runbook_names.end());
  return matching(lasting(listed), [&](const wire::ContainerSummary& one) {
    if (!is_another_service(one, clues.module)) return false;
    const bool is_written =
        std::any_of(written.begin(), written.end(),
                    [&](const std::string& name) { return !by_reference({one}, name).empty(); });
    return is_written ||
           std::any_of(one.names.begin(), one.names.end(), [&](const std::string& name) {
             return name == clues.module || before_id(name, clues.module);
           });
  });
}

FoundContainer find_container(const LookupClues& clues, const Containers& listed) {
  auto [found, step] = candidates(clues, listed);
  if (found.empty()) {
    if (clues.option) {
      throw none("there is no container " + *clues.option, *clues.option, listed, clues);
    }
    if (clues.configured) {
      throw none(fmt::format(
                     "the configuration says {} is in container {}, and there is no such container",
                     clues.module, *clues.configured),
                 *clues.configured, listed, clues);
    }
    throw none("no container was found for module " + clues.module, clues.module, listed, clues);
  }
  if (std::any_of(found.begin(), found.end(), wire::is_up)) found = matching(found, wire::is_up);
  if (found.size() == 1) return {found.front(), step};
  std::vector<std::string> names;
  for (const auto& one : found)
    names.push_back(fmt::format("{} ({})", wire::name_of(one), one.state));
  std::sort(names.begin(), names.end());
  throw Error(ErrorKind::container,
              fmt::format("{} containers could be module {} by {}: {}", found.size(), clues.module,
                          step, join(names, ", ")),
              "name the one that is meant with --container, or in the configuration with modules." +
                  clues.module + ".container");
}

}  // namespace bba::run
