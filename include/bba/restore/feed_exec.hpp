// Feeds a program in the scratch container through its stdin, and keeps the little that it says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bba/docker/engine.hpp"
#include "bba/pipe/stage.hpp"

namespace bba::ops {

struct Fed {
  std::int64_t exit_code = 0;
  bool took_everything = true;  // false: it ended before it had read all of its input
  std::string out;
  std::string err;  // the last of it
};

// `source` yields the input, nullopt ends it. Throws Error{capture} where the program says more
// than `most_output` on stdout, or nobody knows how it ended.
Fed feed(docker::Engine& engine, const std::string& container, const wire::ExecConfig& program,
         const std::function<std::optional<Chunk>()>& source, std::size_t most_output);

// Leaves out the one line of a dump that a fresh cluster has made true already: CREATE ROLE of its
// own superuser. It stands before the first \connect.
class RoleFilter : public pipe::Stage {
 public:
  RoleFilter(std::string role, pipe::Stage& next) : role_(std::move(role)), next_(next) {}
  void write(const Chunk& chunk) override;
  void finish() override;

 private:
  bool is_the_line(std::string_view line) const;

  std::string role_;
  pipe::Stage& next_;
  std::string line_;  // the beginning of one that is not complete
  bool done_ = false;
};

}  // namespace bba::ops
