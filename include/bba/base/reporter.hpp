// Where the operator is told what happens. The terminal is one (cli/terminal.hpp), tests have
// another.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace bba {

// The progress of one artifact.
struct Progress {
  std::string label;                      // "postgres: pg_dumpall"
  std::uint64_t bytes = 0;                // read so far
  std::optional<std::uint64_t> expected;  // about how many there will be
};
// Told the bytes that have just passed.
using ProgressFn = std::function<void(std::size_t)>;

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void progress(const Progress& progress) = 0;  // often: the reporter decides what is shown
  virtual void progress_end() = 0;
  virtual void note(const std::string& text) = 0;    // worth knowing; not shown with -q
  virtual void detail(const std::string& text) = 0;  // only with -v
  virtual void warning(const std::string& text) = 0;
};

}  // namespace bba
