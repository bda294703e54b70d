// Proves, from the bytes that pass by, that a dump of PostgreSQL is whole, and counts what it
// holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bba/pipe/stage.hpp"
#include "bba/service/dumped_databases.hpp"

namespace bba::services::postgres {

// pg_dumpall's output: it must end with exactly
// "--\n-- PostgreSQL database cluster dump complete\n--\n\n" (PostgreSQL, pg_dumpall.c), and not
// inside the rows of a COPY: rows can hold these very lines. Counts on the way what a restore has
// to bring back: the databases of the \connect lines, and in each the extensions, the rows of the
// tables and the large objects.
// Tables are called as SQL writes them, and counted as left out once for each COPY.
struct DumpDatabase : service::DumpedDatabase {
  std::vector<std::string> extensions = {};  // of CREATE EXTENSION
  std::uint64_t large_objects = 0;
  std::uint64_t large_object_bytes = 0;
};

class DumpCheck : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t bytes() const noexcept { return bytes_; }
  // By \connect.
  const std::vector<DumpDatabase>& databases() const noexcept { return databases_.all(); }

 private:
  // pg_dump announces the rows of a table with a comment, an empty line, and "COPY ... FROM
  // stdin;". A function's body can hold such a COPY, but hardly all three lines.
  enum class Before { other, comment_end, empty_line };

  std::size_t take_rows(std::string_view text);
  void line(std::string_view line);
  void hold(std::string_view part);
  void statement(std::string_view line);
  void begin_rows(std::string_view line);
  void end_rows();
  void note_database(std::string_view arguments);
  void note_extension(std::string_view line);

  std::uint64_t bytes_ = 0;
  service::DumpedDatabases<DumpDatabase> databases_;
  std::string table_;             // whose rows pass
  std::uint64_t rows_ = 0;        // ... so far
  bool after_lo_create_ = false;  // the line before made a large object
  bool in_lo_data_ = false;       // in the section that fills them
  std::string line_;              // the start of an unfinished line
  bool line_too_long_ = false;    // ... of which nothing is kept: it does not matter
  bool in_copy_ = false;
  Before before_ = Before::other;
  std::string tail_;
};

}  // namespace bba::services::postgres
