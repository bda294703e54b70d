// Containers of a compose root of their own: the project's directory on the host, and the mounted
// data.
#pragma once

#include "bba/service/service.hpp"

namespace bba::services::compose_project {

const service::Service& compose_project();
const service::ArtifactKind& host_directory_kind();

// Where the compose project's directory is, by the configuration or the container's label. Throws
// Error{config} where neither says so.
std::string compose_root(const service::Target& target);
// That directory on this host, and the mounted data. Links in it and in the mounts' sources are to
// be followed before.
service::Capture project_archive(const service::Target& target,
                                 const std::vector<service::MountChoice>& mounts,
                                 const std::vector<wire::ContainerSummary>& all,
                                 service::Consistency wanted);
// Leaves out of the directory what other containers that are up write in it: it would change while
// it is read, and it is their modules' data. `all` must have only directories as mounts.
void leave_out_neighbours(service::Capture& capture,
                          const std::vector<wire::ContainerSummary>& all);

}  // namespace bba::services::compose_project
