#include "commands/live_container.hpp"

#include "bba/base/text.hpp"
#include "bba/run/replace_container.hpp"

namespace bba::commands {

wire::Container live_container(run::Session& session, const store::ContainerRecord& record) {
  auto same = session.engine.find(record.id);
  // A rollback has put it aside: the service is the one that has its name now.
  if (same && !run::is_name_of_replaced(same->name)) return *std::move(same);
  if (auto container = session.engine.find(record.name)) return *std::move(container);
  throw Error(ErrorKind::container,
              fmt::format("container {}, which was backed up, is not on this engine", record.name),
              "its entrypoint, command and environment are needed: create it again (it need not "
              "run), or run this on the host where it lives");
}

}  // namespace bba::commands
