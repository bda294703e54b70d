// YAML as this room reads it: one document, its values typed by the core schema and each with its
// position, aliases and merge keys resolved. Hostile input costs bounded time and memory and ends
// in an Error{config} that names file, line and column. yaml.cpp alone includes yaml-cpp.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bba/base/error.hpp"

namespace bba::conf::yaml {

inline constexpr std::size_t max_file_bytes = 10 << 20;
inline constexpr std::size_t max_depth = 64;
// Counted as if every alias were written out, as whoever walks the values sees them.
inline constexpr std::size_t max_values = 200'000;
inline constexpr std::size_t max_text_bytes = 32 << 20;
// yaml-cpp's scanner holds tokens back while it looks for the ':' of a possible key, which inside
// brackets is without bound, and each takes about 180 times the byte it was made of.
inline constexpr std::size_t max_lookahead = 128 << 10;

enum class Kind { null, boolean, number, text, sequence, mapping };

struct Value {
  struct Entry {
    const Value* key;
    const Value* value;
  };
  Kind kind = Kind::null;
  int line = 1;
  int column = 1;
  std::string scalar;               // as written, for all but sequences and mappings
  std::vector<const Value*> items;  // of a sequence
  std::vector<Entry> entries;       // of a mapping, no key twice, merge keys resolved
  std::size_t values = 1;           // itself and all below, aliases written out
  std::size_t text_bytes = 0;       // likewise
};

// A value and the file it is in. Cheap to copy; valid as long as its Document lives.
class Node {
 public:
  Node(const std::string* file, const Value* value) : file_(file), value_(value) {}

  Kind kind() const noexcept { return value_->kind; }
  bool is_null() const noexcept { return value_->kind == Kind::null; }

  // "file:line:column", and an Error{config} about it.
  std::string place() const;
  Error error(std::string_view what, std::string hint = {}) const;

  // The value in the type wanted. Each throws Error{config} where it is of another.
  const std::string& text() const;
  bool boolean() const;
  double number() const;
  std::vector<Node> items() const;
  std::vector<std::pair<Node, Node>> entries() const;  // the keys are scalars
  std::vector<std::string> texts() const;              // a sequence of texts

  // A scalar as it is written, whatever its type; what keys are.
  const std::string& raw() const;
  // What a mapping holds under `key`; nullopt where that is missing or null.
  std::optional<Node> find(std::string_view key) const;

 private:
  const Value& expect(Kind kind) const;

  const std::string* file_;
  const Value* value_;
};

class Document {
 public:
  // Throws Error{config}. A text without any value is a document whose root is null.
  Document(std::string_view text, std::string file_name);

  Node root() const { return Node(&file_, root_); }

 private:
  friend class Builder;

  std::string file_;
  std::deque<Value> values_;  // stable addresses
  const Value* root_ = nullptr;
};

// Throws Error{config} where the file cannot be read, is too large, or is not YAML.
Document read_document(const std::string& path);

}  // namespace bba::conf::yaml
