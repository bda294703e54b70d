// Finding a module's container: the steps of docs/lookup.md in their order, as a pure function of
// what the engine lists and the platform's files say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bba/wire/message.hpp"

namespace bba::run {

struct LookupClues {
  std::string module;
  std::optional<std::string> option;       // --container
  std::optional<std::string> configured;   // modules.<id>.container
  std::vector<std::string> compose_names;  // container_name of the compose service <id>
  std::vector<std::string> runbook_names;
  std::vector<std::string> projects;  // what Compose calls the projects of the platform's stacks
  std::vector<std::string> unread;    // what could not be read of those files, and why
};

// One of `compose run`, which is removed when its command ends.
bool is_one_off(const wire::ContainerSummary& container);

struct FoundContainer {
  wire::ContainerSummary container;
  std::string step;  // "label com.docker.compose.service=postgres"
};

struct Candidates {
  std::vector<wire::ContainerSummary> containers;
  std::string step;
};
// All containers of the first step that finds any, stopped ones too; empty where none does.
Candidates candidates(const LookupClues& clues, const std::vector<wire::ContainerSummary>& all);

// The containers whose names look like the module's, and which are not its own: Compose's label
// says that they are another service. Only --container and the configuration may name such a one.
std::vector<wire::ContainerSummary> passed_over(const LookupClues& clues,
                                                const std::vector<wire::ContainerSummary>& all);

// The first step that finds anything decides. Running ones before stopped ones, one-off containers
// and what a rollback has put aside never. Throws Error{container}: none (with those passed over,
// the nearest names, and the files that may have named it), or several (with all of them).
FoundContainer find_container(const LookupClues& clues,
                              const std::vector<wire::ContainerSummary>& all);

}  // namespace bba::run
