#include "yaml.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <istream>
#include <limits>
#include <set>
#include <streambuf>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "bba/base/fd.hpp"
#include "bba/base/text.hpp"

namespace bba::conf::yaml {
namespace {

Error error_at(std::string_view file, int line, int column, std::string_view what,
               std::string hint = {}) {
  return Error(ErrorKind::config, fmt::format("{}:{}:{}: {}", file, line, column, what),
               std::move(hint));
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "nothing";
    case Kind::boolean:
      return "a boolean";
    case Kind::number:
      return "a number";
    case Kind::text:
      return "text";
    case Kind::sequence:
      return "a list";
    case Kind::mapping:
      return "a mapping";
  }
  return "?";
}

// yaml-cpp takes bytes that are not UTF-8 as they come and a 0x04 as the end of the file.
void require_text(std::string_view text, std::string_view file) {
  int line = 1;
  int column = 1;
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_length(text);
    if (length == 0) throw error_at(file, line, column, "not UTF-8");
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
      throw error_at(file, line, column,
                     fmt::format("the control character 0x{:02x} is not YAML", c));
    }
    column = c == '\n' ? 1 : column + 1;
    if (c == '\n') ++line;
    text.remove_prefix(length);
  }
}

bool is_integer(std::string_view text) {
  const auto all = [](std::string_view digits, std::string_view allowed) {
    return !digits.empty() && digits.find_first_not_of(allowed) == digits.npos;
  };
  if (text.starts_with("0x")) return all(text.substr(2), "0123456789abcdefABCDEF");
  if (text.starts_with("0o")) return all(text.substr(2), "01234567");
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return all(text, "0123456789");
}

std::optional<double> to_float(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  // from_chars knows words (inf, nan) that are text in YAML.
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != text.npos) return std::nullopt;
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || failure == std::errc::invalid_argument)
    return std::nullopt;
  return failure == std::errc{} ? value : std::numeric_limits<double>::infinity();
}

// The core schema of YAML 1.2: yes, no, on and off are text.
Kind plain_kind(std::string_view text) {
  for (const std::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
    if (text == word) return Kind::boolean;
  }
  return is_integer(text) || to_float(text) ? Kind::number : Kind::text;
}

}  // namespace

// Builds the values from yaml-cpp's events; the first that passes a limit ends the parsing.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(Document& document) : document_(document) {}

  std::size_t events() const noexcept { return events_; }
  Error error(int line, int column, std::string_view what) const {
    return error_at(document_.file_, line, column, what);
  }
  Error error(const YAML::Mark& mark, std::string_view what) const {
    return error(mark.line + 1, mark.column + 1, what);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (document_.root_) throw error(mark, "a second document begins; only one is read");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Value& value = make(mark, Kind::null);
    // A null has no position of its own; yaml-cpp gives that of what follows.
    if (!open_.empty() && open_.back().key) {
      value.line = open_.back().key->line;
      value.column = open_.back().key->column;
    }
    place(finished(value, anchor));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const bool plain = tag == "?";
    Value& value = make(mark, plain ? plain_kind(text) : Kind::text);
    value.scalar = text;
    value.text_bytes = text.size();
    const bool merge = plain && text == "<<" && expects_key();
    place(finished(value, anchor), merge);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    ++events_;
    const Value* value = anchor < anchors_.size() ? anchors_[anchor] : nullptr;
    // An anchor is known from the end of its value on.
    if (!value) throw error(mark, "this alias is inside the value that it names");
    account(*value, mark.line + 1, mark.column + 1);
    place(*value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, Kind::sequence, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, Kind::mapping, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    Value* value;
    YAML::anchor_t anchor;
    const Value* key = nullptr;  // of a mapping, while its value is awaited
    bool merge_key = false;
    const Value* merged = nullptr;  // what `<<` names
  };

  Value& make(const YAML::Mark& mark, Kind kind) {
    ++events_;
    Value& value = document_.values_.emplace_back();
    value.kind = kind;
    value.line = mark.line + 1;
    value.column = mark.column + 1;
    return value;
  }

  void account(const Value& value, int line, int column) {
    values_ += value.values;
    text_bytes_ += value.text_bytes;
    if (values_ > max_values) {
      throw error(line, column,
                  fmt::format("more than {} values, aliases written out", max_values));
    }
    if (text_bytes_ > max_text_bytes) {
      throw error(
          line, column,
          fmt::format("more than {} of text, aliases written out", format_bytes(max_text_bytes)));
    }
  }

  const Value& finished(Value& value, YAML::anchor_t anchor) {
    if (value.kind != Kind::sequence && value.kind != Kind::mapping) {
      account(value, value.line, value.column);
    }
    if (anchor != YAML::NullAnchor) {
      if (anchor >= anchors_.size()) anchors_.resize(anchor + 1);
      anchors_[anchor] = &value;
    }
    return value;
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().value->kind == Kind::mapping && !open_.back().key;
  }

  // Puts a finished value where it belongs.
  void place(const Value& value, bool is_merge_key = false) {
    if (open_.empty()) {
      document_.root_ = &value;
      return;
    }
    Level& level = open_.back();
    level.value->values += value.values;
    level.value->text_bytes += value.text_bytes;
    if (level.value->kind == Kind::sequence) {
      level.value->items.push_back(&value);
    } else if (!level.key) {
      if (value.kind == Kind::sequence || value.kind == Kind::mapping || value.kind == Kind::null) {
        throw error(
            value.line, value.column,
            fmt::format("a key must be a single word or text, not {}", kind_name(value.kind)));
      }
      level.key = &value;
      level.merge_key = is_merge_key;
    } else {
      if (!level.merge_key) {
        level.value->entries.push_back({level.key, &value});
      } else if (std::exchange(level.merged, &value)) {
        throw error(level.key->line, level.key->column,
                    "the key \"<<\" appears twice in one mapping");
      }
      level.key = nullptr;
    }
  }

  void open(const YAML::Mark& mark, Kind kind, YAML::anchor_t anchor) {
    if (open_.size() == max_depth) {
      throw error(mark, fmt::format("nested deeper than {} levels", max_depth));
    }
    Value& value = make(mark, kind);
    account(value, value.line, value.column);
    open_.push_back(Level{&value, anchor});
  }

  void close() {
    const Level level = open_.back();
    if (level.value->kind == Kind::mapping) complete(level);
    open_.pop_back();
    place(finished(*level.value, level.anchor));
  }

  // Refuses keys that appear twice and merges what `<<` names: own keys win, then the first of a
  // list.
  void complete(const Level& level) {
    std::vector<Value::Entry>& entries = level.value->entries;
    std::set<std::string_view> keys;
    for (const Value::Entry& entry : entries) {
      if (!keys.insert(entry.key->scalar).second) {
        throw error(entry.key->line, entry.key->column,
                    fmt::format("the key \"{}\" appears twice in one mapping", entry.key->scalar));
      }
    }
    if (!level.merged) return;
    const bool several = level.merged->kind == Kind::sequence;
    for (const Value* source : several ? level.merged->items : std::vector{level.merged}) {
      if (source->kind != Kind::mapping) {
        throw error(source->line, source->column,
                    fmt::format("\"<<\" merges mappings, this is {}", kind_name(source->kind)));
      }
      for (const Value::Entry& entry : source->entries) {
        if (keys.insert(entry.key->scalar).second) entries.push_back(entry);
      }
    }
  }

  Document& document_;
  std::vector<Level> open_;
  std::vector<const Value*> anchors_;  // by yaml-cpp's number
  std::size_t events_ = 0;
  std::size_t values_ = 0;
  std::size_t text_bytes_ = 0;
};

namespace {

// Gives out the text piece by piece and ends a parse that reads too much without any event.
class Source : public std::streambuf {
 public:
  Source(std::string_view text, const Builder& builder) : rest_(text), builder_(builder) {}

 protected:
  int_type underflow() override {
    if (rest_.empty()) return traits_type::eof();
    if (builder_.events() != events_) {
      events_ = builder_.events();
      since_event_ = 0;
    }
    const std::string_view piece = rest_.substr(0, 4096);
    if ((since_event_ += piece.size()) > max_lookahead) {
      throw builder_.error(
          line_, 1,
          fmt::format("no value ends within {} before this line", format_bytes(max_lookahead)));
    }
    line_ += static_cast<int>(std::count(piece.begin(), piece.end(), '\n'));
    rest_.remove_prefix(piece.size());
    char* begin = const_cast<char*>(piece.data());  // streambuf's own type; only ever read
    setg(begin, begin, begin + piece.size());
    return traits_type::to_int_type(piece.front());
  }

 private:
  std::string_view rest_;
  const Builder& builder_;
  std::size_t events_ = 0;
  std::size_t since_event_ = 0;
  int line_ = 1;
};

}  // namespace

Document::Document(std::string_view text, std::string file_name) : file_(std::move(file_name)) {
  if (text.size() > max_file_bytes) {
    throw Error(ErrorKind::config,
                fmt::format("{}: larger than {}", file_, format_bytes(max_file_bytes)));
  }
  require_text(text, file_);
  Builder builder(*this);
  Source source(text, builder);
  std::istream stream(&source);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw error_at(file_, std::max(error.mark.line, 0) + 1, std::max(error.mark.column, 0) + 1,
                   error.msg);
  }
  if (!root_) root_ = &values_.emplace_back();
}

Document read_document(const std::string& path) {
  return Document(read_small_file(path, max_file_bytes, ErrorKind::config), path);
}

std::string Node::place() const {
  return fmt::format("{}:{}:{}", *file_, value_->line, value_->column);
}

Error Node::error(std::string_view what, std::string hint) const {
  return error_at(*file_, value_->line, value_->column, what, std::move(hint));
}

const Value& Node::expect(Kind kind) const {
  if (value_->kind == kind) return *value_;
  std::string hint;
  if (kind == Kind::text && (value_->kind == Kind::number || value_->kind == Kind::boolean)) {
    hint = fmt::format("put it in quotes: \"{}\"", value_->scalar);
  }
  throw error(fmt::format("expected {}, found {}", kind_name(kind), kind_name(value_->kind)),
              std::move(hint));
}

const std::string& Node::text() const {
  return expect(Kind::text).scalar;
}

bool Node::boolean() const {
  const char first = expect(Kind::boolean).scalar.front();
  return first == 't' || first == 'T';
}

double Node::number() const {
  const std::string& written = expect(Kind::number).scalar;
  const std::optional<double> value = to_float(written);
  if (!value || !std::isfinite(*value)) throw error("expected a decimal number in range");
  return *value;
}

std::vector<Node> Node::items() const {
  std::vector<Node> nodes;
  for (const Value* item : expect(Kind::sequence).items) nodes.emplace_back(file_, item);
  return nodes;
}

std::vector<std::pair<Node, Node>> Node::entries() const {
  std::vector<std::pair<Node, Node>> nodes;
  for (const auto& [key, value] : expect(Kind::mapping).entries) {
    nodes.emplace_back(Node(file_, key), Node(file_, value));
  }
  return nodes;
}

std::vector<std::string> Node::texts() const {
  std::vector<std::string> texts;
  for (const Node& item : items()) texts.push_back(item.text());
  return texts;
}

const std::string& Node::raw() const {
  return value_->scalar;
}

std::optional<Node> Node::find(std::string_view key) const {
  for (const auto& [name, value] : expect(Kind::mapping).entries) {
    if (name->scalar != key) continue;
    if (value->kind == Kind::null) return std::nullopt;
    return Node(file_, value);
  }
  return std::nullopt;
}

}  // namespace bba::conf::yaml
