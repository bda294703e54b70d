// Output to a terminal, a pipe or a file, which may be slow, stalled, full or closed. A write that
// waits gives up when the run is asked to stop.
#pragma once

#include <string_view>

#include "bba/base/stop.hpp"

namespace bba::cli {

// Where one of the descriptors 0 to 2 is closed, a file of ours would get its number, and output
// would go there. Opens /dev/null in its place, for the other direction: reads and writes fail.
void occupy_standard_streams() noexcept;

enum class WriteResult {
  all,
  stopped,  // the reader took no more, and the run was asked to stop
  failed,   // errno says why
};

// Waits for a slow reader, but only a moment once `stop` (may be null) is due.
WriteResult write_text(int fd, std::string_view text, const Stop* stop) noexcept;

// Whether something could be written now, without a wait.
bool takes_more(int fd) noexcept;

}  // namespace bba::cli
