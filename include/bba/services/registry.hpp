// The only list of the services and their artifact kinds. What the program does for a class or a
// kind it asks here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bba/service/service.hpp"

namespace bba::services {

// In the order in which their default rules are tried: the first match wins.
const std::vector<const service::Service*>& all_services();
const std::vector<const service::ArtifactKind*>& all_kinds();
// The letters of the services' classes, in alphabetical order.
std::string letters();
// nullptr where no service has that letter, or no kind that name.
const service::Service* service_by_letter(char letter);
const service::ArtifactKind* kind_by_name(std::string_view name);
// The same where it has to be there. Throws Error{artifact}: an artifact of another version.
const service::ArtifactKind& require_kind(std::string_view name);

// The class that the configuration says, or else the one that its rules, or those of the services,
// choose by name and image.
conf::ClassChoice class_of(const conf::Config& config, const std::string& module,
                           const std::string& image);

// The Capture of the target's class: asks the service. Only reads.
service::Capture plan(const service::PlanInputs& inputs);

}  // namespace bba::services
