// What mariadb-dump or mysqldump wrote, proven whole: it must end with exactly one line
// "-- Dump completed", with a date after it or not, that is between two statements. Strings,
// comments and the bodies of routines can hold that very line, so the text is read as the client
// reads it: strings with their escapes, comments, DELIMITER. Counts on the way what a restore has
// to bring back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/bytes.hpp"
#include "bba/pipe/stage.hpp"
#include "bba/service/dumped_databases.hpp"

namespace bba::services::mariadb {

// Tables are called by their plain names.
struct DumpDatabase : service::DumpedDatabase {
  std::uint64_t views = 0;
  std::uint64_t routines = 0;  // functions, procedures, packages
  std::uint64_t events = 0;
  std::uint64_t triggers = 0;
  std::uint64_t sequences = 0;
};

class DumpCheck : public pipe::Stage {
 public:
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t bytes() const noexcept { return bytes_; }
  // By USE and CREATE DATABASE, the system database `mysql` among them.
  const std::vector<DumpDatabase>& databases() const noexcept { return databases_.all(); }

 private:
  // Where in the text a byte is.
  enum class In {
    statement,  // or between two of them
    dash,       // after "-", which may begin a comment
    dashes,     // after "--"
    line_comment,
    slash,       // after "/"
    slash_star,  // after "/*", a comment unless "!" follows
    slash_star_m,
    comment,
    comment_star,  // after a "*" that may end it
    single_quotes,
    double_quotes,
    backticks,
    escape,     // the byte after a backslash in quotes
    semicolon,  // after the first ";" of ";;"
  };

  const char* take(const char* at, const char* end);
  const char* take_statement(const char* at, const char* end);
  const char* take_quoted(const char* at, const char* end, char quote);
  const char* take_line_comment(const char* at, const char* end);
  const char* take_comment(const char* at, const char* end);
  void keep(std::string_view part);
  void new_line();
  void open_parenthesis();
  void begin_line_comment();
  void end_statement();
  void note_statement(std::string_view text);
  void note_modes(std::string_view text);
  void note_database(std::string name);
  void note_table(const std::string& name, std::uint64_t rows);

  std::uint64_t bytes_ = 0;
  In in_ = In::statement;
  In quotes_ = In::statement;  // which ones to go back to after an escape
  bool star_before_ = false;   // the byte before was a "*" in a statement
  bool two_semicolons_ = false;
  bool backslash_escapes_ = true;
  bool ansi_quotes_ = false;
  std::string statement_;       // its beginning; blank between two
  std::uint64_t depth_ = 0;     // of parentheses, in an INSERT
  bool counts_rows_ = false;    // after the VALUES of an INSERT
  std::uint64_t rows_ = 0;      // ... so far
  bool between_ = false;        // the comment is between statements
  std::string comment_;         // its beginning
  bool ends_complete_ = false;  // nothing has come after the end marker

  service::DumpedDatabases<DumpDatabase> databases_;
};

}  // namespace bba::services::mariadb
