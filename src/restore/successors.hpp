// The containers of a rollback: made anew from what was recorded, each beside the one that it takes
// the place of.
#pragma once

#include <functional>
#include <vector>

#include "bba/run/restore_record.hpp"
#include "bba/wire/message.hpp"

namespace bba::restore {

// Makes, without starting them, one like recorded[i] for the record's service i, unless that is
// null, and one for each other container that lives in a namespace of such a service, which it
// would not find again. They are in record.replacements before they are made, and `note` writes
// that down.
void make_successors(docker::Engine& engine, const std::string& state_directory,
                     const std::vector<const wire::Container*>& recorded,
                     run::RestoreRecord& record, const std::function<void()>& note);

// For an undo: those that were put aside are there, or are made again from what was kept of them.
void require_predecessors(docker::Engine& engine, const std::string& state_directory,
                          run::RestoreRecord& record);

}  // namespace bba::restore
