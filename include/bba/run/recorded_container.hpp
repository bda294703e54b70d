// A container as it was when its data was backed up: a file of the set holds what it takes to make
// the container again, under the names of the Docker Engine API (GET /containers/{id}/json). It
// holds the values of environment variables, so nothing of it goes into messages.
#pragma once

#include <map>
#include <string>

#include "bba/base/json.hpp"
#include "bba/wire/message.hpp"

namespace bba::run {

// The file's text: image, configuration, host configuration, mounts with the names of anonymous
// volumes, networks with aliases.
std::string container_record(const wire::Container& container);
// Throws Error{artifact} where the text is not such a file.
wire::Container recorded_container(const std::string& text);

// What makes a container like another one, from the same image, and on the same volumes.
struct ContainerCreation {
  Json body;                             // of POST /containers/create
  std::map<std::string, Json> networks;  // those to connect it to afterwards, by name
};
ContainerCreation creation_of(const wire::Container& container);

// Whether both were made from one image in the same way.
bool same_configuration(const wire::Container& a, const wire::Container& b);

}  // namespace bba::run
