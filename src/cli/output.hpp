// What is written for others to read: to a terminal, a pipe or a file that may be slow, stalled,
// full or closed. A write that waits ends when the run is asked to.
#pragma once

#include <string_view>

#include "bba/base/stop.hpp"

namespace bba::cli {

// Where one of the descriptors 0 to 2 is closed, a file of ours would get its number, and be
// written to. Opens /dev/null in its place, the wrong way round: reads and writes still fail.
void occupy_standard_streams() noexcept;

enum class WriteResult {
  all,
  stopped,  // the reader took no more, and the run was asked to end
  failed,   // errno says why
};

// Waits as long as the reader does, but once `stop` (may be null) is due no more than a moment.
WriteResult write_text(int fd, std::string_view text, const Stop* stop) noexcept;

// Whether something could be written now, without a wait.
bool takes_more(int fd) noexcept;

}  // namespace bba::cli
