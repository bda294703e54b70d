#include "commands/live_container.hpp"

#include "bba/base/text.hpp"

namespace bba::commands {

wire::Container live_container(run::Session& session, const store::ContainerRecord& record) {
  if (auto container = session.engine.find(record.id)) return *std::move(container);
  if (auto container = session.engine.find(record.name)) return *std::move(container);
  throw Error(ErrorKind::container,
              fmt::format("container {}, which was backed up, is not on this engine", record.name),
              "its entrypoint, command and environment are needed: create it again (it need not "
              "run), or run this on the host where it lives");
}

}  // namespace bba::commands
