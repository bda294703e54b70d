// Feeds a program in the scratch container through its stdin, and keeps what it prints.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bba/docker/engine.hpp"
#include "bba/service/restore.hpp"

namespace bba::restore {

// `source` yields the input, nullopt ends it. Throws Error{capture} where the program prints more
// than `most_output` bytes on stdout, or its exit status is not known.
service::FeedResult feed_exec(docker::Engine& engine, const std::string& container,
                              const wire::ExecConfig& program,
                              const std::function<std::optional<Chunk>()>& source,
                              std::size_t most_output);

}  // namespace bba::restore
