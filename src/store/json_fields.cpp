#include "json_fields.hpp"

#include <algorithm>

#include "bba/base/text.hpp"

namespace bba::store {

namespace {

Error wrong(const std::string& field, std::string_view wanted, const Json& value) {
  return bad_field(field, fmt::format("must be {} not {}", wanted, value.type_name()));
}

std::uint64_t size_of(const Json& value, const std::string& field) {
  if (!value.is_number_unsigned()) throw wrong(field, "a whole number, not negative,", value);
  return value.get<std::uint64_t>();
}

}  // namespace

Error bad_field(const std::string& field, std::string_view what) {
  return Error(ErrorKind::artifact, fmt::format("field \"{}\" {}", field, what));
}

Json parse_object(std::string_view text) {
  auto json = parse_json(text);
  if (!json) throw Error(ErrorKind::artifact, "not JSON");
  if (!json->is_object()) throw Error(ErrorKind::artifact, "not a JSON object");
  return *std::move(json);
}

std::string text_of(const Json& value, const std::string& field) {
  if (!value.is_string()) throw wrong(field, "a string", value);
  return value.get<std::string>();
}

Fields::Fields(const Json& value, std::string path) : value_(value), path_(std::move(path)) {
  if (!value_.is_object()) throw wrong(path_, "an object", value_);
}

std::string Fields::one_of(const char* key, std::initializer_list<std::string_view> values) const {
  std::string chosen = text(key);
  if (std::find(values.begin(), values.end(), chosen) == values.end()) {
    throw bad_field(field(key), fmt::format("must be one of {}, not \"{}\"",
                                            fmt::join(values.begin(), values.end(), ", "), chosen));
  }
  return chosen;
}

std::optional<std::string> Fields::text_or_null(const char* key) const {
  const Json& found = value(key);
  if (found.is_null()) return std::nullopt;
  if (!found.is_string()) throw wrong(field(key), "a string or null", found);
  return found.get<std::string>();
}

std::uint64_t Fields::size(const char* key) const {
  return size_of(value(key), field(key));
}

double Fields::seconds(const char* key) const {
  const Json& found = value(key);
  if (!found.is_number() || !(found.get<double>() >= 0)) {
    throw wrong(field(key), "a number, not negative,", found);
  }
  return found.get<double>();
}

Timestamp Fields::time(const char* key) const {
  const auto time = parse_rfc3339(text(key));
  if (!time) throw bad_field(field(key), "must be a time like 2026-11-23T08:42:32Z");
  return *time;
}

std::vector<std::uint64_t> Fields::sizes(const char* key) const {
  return list(key, size_of);
}

std::vector<std::string> Fields::texts_if_any(const char* key) const {
  return value_.contains(key) ? texts(key) : std::vector<std::string>();
}

std::optional<Fields> Fields::inside_if_any(const char* key) const {
  return value_.contains(key) ? std::optional(inside(key)) : std::nullopt;
}

std::string Fields::text_if_any(const char* key) const {
  return value_.contains(key) ? text(key) : std::string();
}

const Json& Fields::value(const char* key) const {
  const auto found = value_.find(key);
  if (found == value_.end()) {
    throw Error(ErrorKind::artifact, fmt::format("missing field \"{}\"", field(key)));
  }
  return *found;
}

const Json& Fields::array_of(const char* key) const {
  const Json& array = value(key);
  if (!array.is_array()) throw wrong(field(key), "an array", array);
  return array;
}

}  // namespace bba::store
