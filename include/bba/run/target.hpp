// What is known of a module before anything is asked of its container: its settings, and the clues
// that find the container. `plan` and `audit` both ask here, so that they cannot differ.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bba/conf/config.hpp"
#include "bba/conf/platform.hpp"
#include "bba/run/find_container.hpp"
#include "bba/wire/message.hpp"

namespace bba::run {

// The module's own settings; empty ones where the configuration has none.
conf::ModuleSettings module_settings(const conf::Config& config, const std::string& module);

// The operator's variables that are passed to the programs in the module's container.
std::vector<wire::EnvVar> lent_variables(const conf::ModuleSettings& settings,
                                         const std::map<std::string, std::string>& environment);

// What finds the module's container: the name in the configuration or, without one, what the
// platform's files hold. A file that cannot be read is not an error here, but one of `unread`.
LookupClues clues_of(const conf::Config& config, const std::string& platform_root,
                     const std::string& module);
// The clues of files that were read.
LookupClues clues_in_files(const std::string& module, const conf::Compose& compose,
                           std::vector<std::string> runbook_names);

}  // namespace bba::run
