#include "dump_check.hpp"

#include <algorithm>
#include <array>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::services::mariadb {

namespace {

constexpr std::string_view end_marker = "-- Dump completed";
// A name has at most 64 characters of at most four bytes, each a doubled backtick.
constexpr std::size_t longest_name = 256;
// More than what comes before the last name of a statement that counts: two names and two words
// of comment, `user`@`host` among them.
constexpr std::size_t longest_statement = 4096;
constexpr std::size_t longest_comment = 256;

using Bytes = std::array<bool, 256>;

constexpr Bytes bytes_of(std::string_view text) {
  Bytes bytes{};
  for (const char c : text) bytes[static_cast<unsigned char>(c)] = true;
  return bytes;
}

constexpr Bytes mean_something = bytes_of("'\"`()-#/*;\n");
constexpr Bytes mean_something_in_single_quotes = bytes_of("'\\");
constexpr Bytes mean_something_in_double_quotes = bytes_of("\"\\");
constexpr Bytes mean_something_in_backticks = bytes_of("`");

// Strings and numbers are short in most rows, so looking at each byte is faster than calling a
// search.
const char* skip_to(const Bytes& bytes, const char* at, const char* end) {
  while (at != end && !bytes[static_cast<unsigned char>(*at)]) ++at;
  return at;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The name between the first backticks of `text`; "" where there is none, or no end of it.
std::string first_name(std::string_view text) {
  std::string name;
  const std::size_t open = text.find('`');
  if (open == text.npos) return {};
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    if (text[i] != '`') {
      name += text[i];
    } else if (text.substr(i + 1).starts_with('`')) {
      name += text[i++];
    } else {
      return name;
    }
  }
  return {};
}

}  // namespace

void DumpCheck::write(const Chunk& chunk) {
  const std::string_view text = chunk.text();
  if (text.empty()) return;
  bytes_ += text.size();
  ends_complete_ = false;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) at = take(at, end);
}

// Takes one or more bytes by the current state; returns where it stopped.
const char* DumpCheck::take(const char* at, const char* end) {
  switch (in_) {
    case In::statement:
      return take_statement(at, end);
    case In::single_quotes:
      return take_quoted(at, end, '\'');
    case In::double_quotes:
      return take_quoted(at, end, '"');
    case In::backticks:
      return take_quoted(at, end, '`');
    case In::escape:
      in_ = quotes_;
      keep({at, 1});
      return at + 1;
    case In::line_comment:
      return take_line_comment(at, end);
    case In::comment:
    case In::comment_star:
      return take_comment(at, end);
    case In::dash:
      in_ = *at == '-' ? In::dashes : In::statement;
      if (in_ == In::dashes) return at + 1;
      keep("-");
      return at;
    case In::dashes:
      // A comment needs a blank or the end of the line after its dashes.
      if (static_cast<unsigned char>(*at) <= ' ') {
        begin_line_comment();
        comment_ = "--";
      } else {
        in_ = In::statement;
        keep("--");
      }
      return at;
    case In::slash:
      in_ = *at == '*' ? In::slash_star : In::statement;
      if (in_ == In::slash_star) return at + 1;
      keep("/");
      return at;
    case In::slash_star:
      // What is in /*! ... */ or /*M! ... */ is read like the rest.
      in_ = *at == '!' ? In::statement : *at == 'M' ? In::slash_star_m : In::comment;
      if (in_ == In::statement) keep("/*!");
      return in_ == In::comment ? at : at + 1;
    case In::slash_star_m:
      in_ = *at == '!' ? In::statement : In::comment;
      if (in_ == In::statement) keep("/*M!");
      return in_ == In::comment ? at : at + 1;
    case In::semicolon:
      in_ = In::statement;
      if (*at == ';') {
        end_statement();
        return at + 1;
      }
      keep(";");
      return at;
  }
  return end;
}

// Of a statement only the beginning is kept. Nothing of the rows is.
void DumpCheck::keep(std::string_view part) {
  if (counts_rows_ || depth_ > 0 || statement_.size() >= longest_statement) return;
  statement_ += part.substr(0, longest_statement - statement_.size());
}

const char* DumpCheck::take_statement(const char* at, const char* end) {
  while (at != end) {
    const char* const from = at;
    at = skip_to(mean_something, at, end);
    if (at != from) {
      keep({from, at});
      star_before_ = false;
      if (at == end) return at;
    }
    const char byte = *at++;
    const bool star_before = star_before_;
    star_before_ = byte == '*';
    switch (byte) {
      case '(':
        open_parenthesis();
        break;
      case ')':
        if (depth_ > 0) --depth_;
        break;
      case '\'':
        in_ = In::single_quotes;
        keep({at - 1, 1});
        return at;
      case '"':
        in_ = In::double_quotes;
        keep({at - 1, 1});
        return at;
      case '`':
        in_ = In::backticks;
        keep({at - 1, 1});
        return at;
      case '-':
        in_ = In::dash;
        return at;
      case '#':
        begin_line_comment();
        return at;
      case '/':
        if (!star_before) {
          in_ = In::slash;
          return at;
        }
        keep({at - 1, 1});  // the end of a /*! ... */
        break;
      case '\n':
        new_line();
        break;
      case ';':
        if (statement_.starts_with("DELIMITER ")) {
          keep({at - 1, 1});
        } else if (two_semicolons_) {
          in_ = In::semicolon;
          return at;
        } else {
          end_statement();
        }
        break;
      default:
        keep({at - 1, 1});
    }
  }
  return at;
}

const char* DumpCheck::take_quoted(const char* at, const char* end, char quote) {
  const Bytes& bytes = quote == '\''  ? mean_something_in_single_quotes
                       : quote == '"' ? mean_something_in_double_quotes
                                      : mean_something_in_backticks;
  const bool escapes = backslash_escapes_ && quote != '`' && !(quote == '"' && ansi_quotes_);
  const char* const from = at;
  at = skip_to(bytes, at, end);
  if (at == end) {
    keep({from, at});
    return at;
  }
  // A doubled quote ends the string and begins the next: as good as one string.
  if (*at == quote) {
    in_ = In::statement;
  } else if (escapes) {
    quotes_ = in_;
    in_ = In::escape;
  }
  ++at;
  keep({from, at});
  return at;
}

void DumpCheck::begin_line_comment() {
  in_ = In::line_comment;
  between_ = is_blank(statement_) && !two_semicolons_;
  comment_.clear();
}

const char* DumpCheck::take_line_comment(const char* at, const char* end) {
  const char* const newline = std::find(at, end, '\n');
  const std::size_t size = static_cast<std::size_t>(newline - at);
  comment_.append(at, std::min(size, longest_comment - comment_.size()));
  if (newline == end) return end;
  in_ = In::statement;
  if (between_ && newline + 1 == end) {
    std::string_view rest = comment_;
    ends_complete_ = take_prefix(rest, end_marker) && (rest.empty() || rest.starts_with(" on "));
  }
  return newline + 1;
}

const char* DumpCheck::take_comment(const char* at, const char* end) {
  if (in_ == In::comment) {
    at = std::find(at, end, '*');
    if (at == end) return end;
    in_ = In::comment_star;
    return at + 1;
  }
  if (*at == '/') {
    in_ = In::statement;
  } else if (*at != '*') {
    in_ = In::comment;
  }
  return at + 1;
}

void DumpCheck::new_line() {
  if (counts_rows_) return;
  std::string_view text = statement_;
  if (take_prefix(text, "DELIMITER ")) {
    two_semicolons_ = text.starts_with(";;");
    statement_.clear();
  } else if (is_blank(statement_) || text.starts_with("/*M!999999\\- ")) {
    // Between statements; or the sandbox-mode line, which has no end and may be a command to a
    // client.
    statement_.clear();
  } else {
    keep("\n");
  }
}

// INSERT INTO `t` VALUES (1,'a'),(2,'b'); perhaps with names of columns before VALUES.
void DumpCheck::open_parenthesis() {
  if (counts_rows_) {
    if (depth_++ == 0) ++rows_;
    return;
  }
  if (depth_ > 0) {
    ++depth_;
    return;
  }
  std::string_view text = statement_;
  if (!text.starts_with("INSERT ") && !text.starts_with("REPLACE ")) {
    keep("(");
    return;
  }
  depth_ = 1;
  while (!text.empty() && is_blank(text.substr(text.size() - 1))) text.remove_suffix(1);
  if (text.ends_with("VALUES")) {
    counts_rows_ = true;
    rows_ = 1;
  }
}

void DumpCheck::end_statement() {
  if (counts_rows_) {
    note_table(first_name(statement_), rows_);
  } else {
    note_statement(statement_);
  }
  statement_.clear();
  counts_rows_ = false;
  rows_ = 0;
  depth_ = 0;
}

void DumpCheck::note_statement(std::string_view text) {
  DumpDatabase* const database = databases_.current();
  if (text.starts_with("USE `") || text.starts_with("CREATE DATABASE ")) {
    note_database(first_name(text));
  } else if (text.starts_with("/*!50003 SET sql_mode ")) {
    note_modes(text);
  } else if (database == nullptr) {
    return;
  } else if (text.starts_with("CREATE TABLE ")) {
    note_table(first_name(text), 0);
  } else if (text.starts_with("CREATE SEQUENCE ")) {
    ++database->sequences;
  } else if (text.starts_with("/*!50001 CREATE ") && text.find("\n/*!50001 VIEW `") != text.npos) {
    ++database->views;
  } else if (text.starts_with("/*!50003 CREATE*/ ") &&
             text.find("/*!50003 TRIGGER ") != text.npos) {
    ++database->triggers;
  } else if (text.starts_with("/*!50106 CREATE*/ ") && text.find("/*!50106 EVENT ") != text.npos) {
    ++database->events;
  } else if (two_semicolons_ && text.starts_with("CREATE ")) {
    ++database->routines;
  }
}

// As the client learns it from its server: in some modes a backslash is an ordinary character.
void DumpCheck::note_modes(std::string_view text) {
  backslash_escapes_ = text.find("NO_BACKSLASH_ESCAPES") == text.npos;
  ansi_quotes_ = text.find("ANSI_QUOTES") != text.npos;
}

void DumpCheck::note_database(std::string name) {
  databases_.enter(name.size() > longest_name ? std::string() : std::move(name));
}

// A table is made before its rows come.
void DumpCheck::note_table(const std::string& name, std::uint64_t rows) {
  DumpDatabase* const database = databases_.current();
  if (database == nullptr) return;
  const bool is_kept = databases_.add_rows(name, rows, longest_name);
  if (!is_kept && rows == 0) ++database->tables_left_out;
}

void DumpCheck::finish() {
  if (ends_complete_) return;
  const bool in_quotes = in_ == In::single_quotes || in_ == In::double_quotes ||
                         in_ == In::backticks || in_ == In::escape;
  const char* const where = counts_rows_                         ? "cut inside the rows of a table"
                            : in_quotes || !is_blank(statement_) ? "cut inside a statement"
                                                                 : "cut, or something follows";
  throw Error(ErrorKind::artifact,
              fmt::format("SQL dump: it ends at byte {} without the line \"{}\": {}", bytes_,
                          end_marker, where));
}

}  // namespace bba::services::mariadb
