// Moves bytes from a source that must not wait to stages that may: the calling thread reads, a
// worker pushes the stages, with a bounded buffer in between.
#pragma once

#include <functional>
#include <optional>

#include "bba/base/bytes.hpp"
#include "bba/pipe/stage.hpp"

namespace bba::pipe {

inline constexpr std::size_t pump_buffer_bytes = 16 << 20;

// Pushes everything that `read` yields through `first` and returns when all of it has passed; does
// not finish `first`, as the caller may know more before it calls the bytes complete. `moved` is
// told the bytes of each chunk on the calling thread. What either side throws is rethrown here, the
// worker's first.
void pump(const std::function<std::optional<Chunk>()>& read, pipe::Stage& first,
          const std::function<void(std::size_t)>& moved);

}  // namespace bba::pipe
