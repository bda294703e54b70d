#include "dump_check.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "bba/base/text.hpp"

namespace bba::services::postgres {

namespace {

constexpr std::string_view end_marker = "--\n-- PostgreSQL database cluster dump complete\n--\n\n";
constexpr std::size_t most_extensions = 1'000;
// Two identifiers of 63 bytes, each a doubled quote.
constexpr std::size_t longest_table = 2 * (2 * 63 + 2) + 1;
// More than the longest line that matters, the COPY of a table with 1,600 columns of 63 doubled
// quotes.
constexpr std::size_t longest_line = 256 * 1024;

// Eight bytes at a time: short rows would otherwise cost a call each.
std::uint64_t count_newlines(std::string_view text) {
  constexpr std::uint64_t newlines = 0x0a0a0a0a0a0a0a0a;
  constexpr std::uint64_t low_bits = 0x7f7f7f7f7f7f7f7f;
  constexpr std::uint64_t even_bytes = 0x00ff00ff00ff00ff;
  constexpr std::size_t most_words = 255;  // until one of eight counts of a byte is full
  std::uint64_t count = 0;
  while (text.size() >= sizeof(std::uint64_t)) {
    const std::size_t words = std::min(text.size() / sizeof(std::uint64_t), most_words);
    std::uint64_t counts = 0;
    for (std::size_t i = 0; i < words; ++i) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, text.data() + i * sizeof bytes, sizeof bytes);
      bytes ^= newlines;
      // 1 in each byte that is zero now, and 0 in the others.
      counts += ~(((bytes & low_bits) + low_bits) | bytes | low_bits) >> 7;
    }
    counts = (counts & even_bytes) + (counts >> 8 & even_bytes);
    count += counts * 0x0001000100010001 >> 48;
    text.remove_prefix(words * sizeof(std::uint64_t));
  }
  return count + static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// Where a line that is "\." begins in text that begins with a line; npos where none is complete.
std::size_t end_of_rows(std::string_view text) {
  for (std::size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at + 1)) {
    const bool begins_line = at == 0 || text[at - 1] == '\n';
    if (begins_line && text.substr(at).starts_with("\\.\n")) return at;
  }
  return text.npos;
}

// The SQL identifier that `text` begins with, quoted or not, as it is written.
std::string_view identifier(std::string_view text) {
  std::size_t end = 0;
  if (text.starts_with('"')) {
    // A doubled quote is one of the name's own.
    end = text.find('"', 1);
    while (end != text.npos && text.substr(end + 1).starts_with('"')) end = text.find('"', end + 2);
    return end == text.npos ? std::string_view() : text.substr(0, end + 1);
  }
  end = text.find_first_of(" .(;");
  return text.substr(0, end);
}

// Takes what is quoted from the front of `text`, beginning after the opening quote. `escape`
// precedes a quote or an escape that is literal; for SQL identifiers that is the quote itself.
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

void DumpCheck::write(const Chunk& chunk) {
  std::string_view text = chunk.text();
  bytes_ += text.size();

  // One byte more than the marker: the one before it must end a line.
  constexpr std::size_t kept = end_marker.size() + 1;
  if (text.size() >= kept) {
    tail_ = text.substr(text.size() - kept);
  } else {
    tail_ += text;
    if (tail_.size() > kept) tail_.erase(0, tail_.size() - kept);
  }

  while (!text.empty()) {
    if (in_copy_ && line_.empty() && !line_too_long_) text.remove_prefix(take_rows(text));
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

// Counts the complete rows that `text` begins with; returns their length.
std::size_t DumpCheck::take_rows(std::string_view text) {
  const std::size_t end = end_of_rows(text);
  const std::size_t size = end != text.npos ? end : text.rfind('\n') + 1;  // npos + 1 is 0
  rows_ += count_newlines(text.substr(0, size));
  return size;
}

void DumpCheck::hold(std::string_view part) {
  if (line_too_long_) return;
  line_too_long_ = line_.size() + part.size() > longest_line;
  if (line_too_long_) {
    line_ = "(too long)";  // a line that does not matter
  } else {
    line_ += part;
  }
}

void DumpCheck::line(std::string_view line) {
  if (in_copy_) {
    // A row that is "\." itself is written as "\\.".
    if (line != "\\.") {
      ++rows_;
    } else {
      end_rows();
    }
    return;
  }
  constexpr std::string_view connect = "\\connect ";
  if (line.starts_with(connect)) {
    note_database(line.substr(connect.size()));
  } else {
    statement(line);
  }
  if (line == "--") {
    before_ = Before::comment_end;
  } else if (line.empty() && before_ == Before::comment_end) {
    before_ = Before::empty_line;
  } else {
    before_ = Before::other;
  }
}

// What pg_dump writes in a line of its own, after a comment that announces it.
void DumpCheck::statement(std::string_view line) {
  constexpr std::string_view create = "SELECT pg_catalog.lo_create('";
  constexpr std::string_view write = "SELECT pg_catalog.lowrite(0, '";
  DumpDatabase* const database = databases_.current();
  const bool announced = before_ == Before::empty_line;
  const bool creates = (announced || after_lo_create_) && line.starts_with(create);
  after_lo_create_ = creates;
  if (creates) {
    if (database != nullptr) ++database->large_objects;
  } else if (announced && line.starts_with("COPY ") && line.ends_with(" FROM stdin;")) {
    begin_rows(line);
  } else if (announced && line.starts_with("CREATE EXTENSION ")) {
    note_extension(line);
  } else if (line.starts_with("-- Data for Name: ")) {
    in_lo_data_ = line.find("; Type: BLOBS;") != line.npos;
  } else if (in_lo_data_ && line == "COMMIT;") {
    in_lo_data_ = false;
  } else if (in_lo_data_ && line.starts_with(write) && line.ends_with("');")) {
    // '\x0123', or '\\x0123' where backslashes are doubled in strings.
    const std::size_t digits = line.find('x', write.size()) + 1;
    const std::size_t end = line.size() - std::string_view("');").size();
    if (database != nullptr && digits <= end) database->large_object_bytes += (end - digits) / 2;
  }
}

// COPY public."My table" (id, name) FROM stdin;
void DumpCheck::begin_rows(std::string_view line) {
  in_copy_ = true;
  rows_ = 0;
  line.remove_prefix(std::string_view("COPY ").size());
  const std::string_view first = identifier(line);
  const std::string_view rest = line.substr(first.size());
  const std::size_t second = rest.starts_with('.') ? 1 + identifier(rest.substr(1)).size() : 0;
  table_ = line.substr(0, first.size() + second);
}

void DumpCheck::end_rows() {
  in_copy_ = false;
  DumpDatabase* const database = databases_.current();
  if (database == nullptr) return;
  // Partitions can be dumped as rows of the table that they are parts of.
  if (!databases_.add_rows(table_, rows_, longest_table)) ++database->tables_left_out;
}

void DumpCheck::note_extension(std::string_view line) {
  line.remove_prefix(std::string_view("CREATE EXTENSION ").size());
  constexpr std::string_view condition = "IF NOT EXISTS ";
  if (line.starts_with(condition)) line.remove_prefix(condition.size());
  const std::string_view name = identifier(line);
  DumpDatabase* const database = databases_.current();
  if (database == nullptr || database->extensions.size() >= most_extensions) return;
  database->extensions.push_back(name.starts_with('"') ? unquoted(name.substr(1), '"', '"')
                                                       : std::string(name));
}

// As PostgreSQL's appendPsqlMetaConnect writes them: a plain name, a "quoted one", or
// -reuse-previous=on "dbname='any name'".
void DumpCheck::note_database(std::string_view arguments) {
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
  in_lo_data_ = false;
  databases_.enter(std::move(name));
}

void DumpCheck::finish() {
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

}  // namespace bba::services::postgres
