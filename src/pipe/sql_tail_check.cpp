#include <algorithm>
#include <string>
#include <string_view>

#include "bba/base/text.hpp"
#include "bba/pipe/check.hpp"

namespace bba::pipe {

namespace {

constexpr std::string_view end_marker = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";
constexpr std::size_t most_databases = 10'000;
// More than the longest line that matters, the COPY of a table with 1,600 columns of 63 doubled
// quotes.
constexpr std::size_t longest_line = 256 * 1024;

// Takes what is quoted from the front of `text`, beginning behind the opening quote. `escape`
// stands before a quote or an escape that is meant; for SQL identifiers that is the quote itself.
std::string unquoted(std::string_view text, char quote, char escape) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] == escape && (next == quote || next == escape)) {
      result += text[++i];
    } else if (text[i] == quote) {
      break;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

void SqlTailCheck::write(const Chunk& chunk) {
  std::string_view text = chunk.text();
  bytes_ += text.size();

  // One byte more than the marker: what it must begin behind.
  constexpr std::size_t kept = end_marker.size() + 1;
  if (text.size() >= kept) {
    tail_ = text.substr(text.size() - kept);
  } else {
    tail_ += text;
    if (tail_.size() > kept) tail_.erase(0, tail_.size() - kept);
  }

  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      hold(text);
      return;
    }
    if (line_.empty() && !line_too_long_) {
      line(text.substr(0, end));
    } else {
      hold(text.substr(0, end));
      line(line_);
      line_.clear();
      line_too_long_ = false;
    }
    text.remove_prefix(end + 1);
  }
}

void SqlTailCheck::hold(std::string_view part) {
  if (line_too_long_) return;
  line_too_long_ = line_.size() + part.size() > longest_line;
  if (line_too_long_) {
    line_ = "(too long)";  // as a line that matters to nobody
  } else {
    line_ += part;
  }
}

void SqlTailCheck::line(std::string_view line) {
  if (in_copy_) {
    // A row that is "\." itself is written as "\\.".
    in_copy_ = line != "\\.";
    return;
  }
  constexpr std::string_view connect = "\\connect ";
  if (line.starts_with(connect)) {
    note_database(line.substr(connect.size()));
  } else if (before_ == Before::empty_line && line.starts_with("COPY ") &&
             line.ends_with(" FROM stdin;")) {
    in_copy_ = true;
  }
  if (line == "--") {
    before_ = Before::comment_end;
  } else if (line.empty() && before_ == Before::comment_end) {
    before_ = Before::empty_line;
  } else {
    before_ = Before::other;
  }
}

// As PostgreSQL's appendPsqlMetaConnect writes them: a plain name, a "quoted one", or
// -reuse-previous=on "dbname='any name'".
void SqlTailCheck::note_database(std::string_view arguments) {
  constexpr std::string_view reuse = "-reuse-previous=on ";
  constexpr std::string_view keyword = "dbname=";
  const bool is_connection_string = arguments.starts_with(reuse);
  if (is_connection_string) arguments.remove_prefix(reuse.size());

  std::string name =
      arguments.starts_with('"') ? unquoted(arguments.substr(1), '"', '"') : std::string(arguments);
  if (is_connection_string && name.starts_with(keyword)) {
    name.erase(0, keyword.size());
    if (name.starts_with('\'')) name = unquoted(std::string_view(name).substr(1), '\'', '\\');
  }
  if (name.empty() || databases_.size() >= most_databases) return;
  if (std::find(databases_.begin(), databases_.end(), name) == databases_.end()) {
    databases_.push_back(std::move(name));
  }
}

void SqlTailCheck::finish() {
  if (in_copy_) {
    throw Error(ErrorKind::artifact,
                fmt::format("SQL dump: cut inside the rows of a COPY at byte {}", bytes_));
  }
  const bool complete =
      tail_.ends_with(end_marker) && (tail_.size() == end_marker.size() || tail_.front() == '\n');
  if (!complete) {
    throw Error(ErrorKind::artifact,
                fmt::format("SQL dump: it ends at byte {} without pg_dumpall's end marker: cut, or "
                            "something follows",
                            bytes_));
  }
}

}  // namespace bba::pipe
