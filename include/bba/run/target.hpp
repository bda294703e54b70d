// What is known of a module before anything is asked of its container: the clues that find it, its
// class, which mounts hold its data, where it lives. `plan` and `audit` both ask here, so that they
// cannot differ.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bba/service/mounts.hpp"
#include "bba/conf/config.hpp"
#include "bba/conf/platform.hpp"
#include "bba/run/find_container.hpp"

namespace bba::ops {

// The module's own settings; empty ones where the configuration has none.
conf::ModuleSettings module_settings(const conf::Config& config, const std::string& module);

// What the operator's environment lends to the programs in the module's container.
std::vector<wire::EnvVar> lent_variables(const conf::ModuleSettings& settings,
                                         const std::map<std::string, std::string>& environment);

// What finds the module's container: the configuration's word or, where it says nothing, what the
// platform's files hold. A file that cannot be read is no error here, but one of `unread`.
LookupClues clues_of(const conf::Config& config, const std::string& platform_root,
                     const std::string& module);
// The clues of files that were read.
LookupClues clues_in_files(const std::string& module, const conf::Compose& compose,
                           std::vector<std::string> runbook_names);

// The class that the configuration says, or else the one that the rules choose by name and image.
conf::ClassChoice class_of(const conf::Config& config, const std::string& module,
                           const std::string& image);

// What this host sees at a mount's source.
classes::SourceKind source_kind(const std::string& path);

// `path`, absolute, with links followed as far as there is something; as it is where this host
// cannot tell.
std::string resolved(const std::string& path);
// The sources of mounts with links followed: only so is it seen which lies within which.
void resolve_sources(std::vector<wire::Mount>& mounts);

// The name of the host that this program runs on.
std::string host_name();
// Whether two names are one host's: "db1" and "DB1.example.org" are.
bool same_host(std::string_view a, std::string_view b);

}  // namespace bba::ops
