// The fields of a JSON object, each of the type that is wanted. Where one is not, Error{artifact}
// names it and the way to it: "field \"artifacts[1].bytes\" must be ...".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bba/base/error.hpp"
#include "bba/base/json.hpp"
#include "bba/base/time.hpp"

namespace bba::store {

// What is wrong with the field at the end of the way `field`.
Error bad_field(const std::string& field, std::string_view what);

// The text as one whole object.
Json parse_object(std::string_view text);

// A value as a string; `field` is the way to it.
std::string text_of(const Json& value, const std::string& field);

// One object, and the way to it from the outermost. It refers to the object that it was made of.
class Fields {
 public:
  explicit Fields(const Json& value, std::string path = {});

  std::string text(const char* key) const { return text_of(value(key), field(key)); }
  std::string one_of(const char* key, std::initializer_list<std::string_view> values) const;
  std::optional<std::string> text_or_null(const char* key) const;
  std::uint64_t size(const char* key) const;
  double seconds(const char* key) const;
  Timestamp time(const char* key) const;
  Json object(const char* key) const { return inside(key).value_; }
  Fields inside(const char* key) const { return Fields(value(key), field(key)); }

  // `read(element, path)` for each element of an array.
  template <class Read>
  auto list(const char* key, Read read) const {
    const Json& array = array_of(key);
    std::vector<decltype(read(array, std::string()))> out;
    out.reserve(array.size());
    for (std::size_t i = 0; i < array.size(); ++i) {
      out.push_back(read(array[i], field(key) + '[' + std::to_string(i) + ']'));
    }
    return out;
  }
  std::vector<std::string> texts(const char* key) const { return list(key, text_of); }
  std::vector<std::uint64_t> sizes(const char* key) const;
  // Fields that earlier versions of the schema did not write.
  std::vector<std::string> texts_if_any(const char* key) const;
  std::optional<Fields> inside_if_any(const char* key) const;
  // Empty where there is none.
  std::string text_if_any(const char* key) const;

  // Whatever it is.
  const Json& value(const char* key) const;
  std::string field(const char* key) const { return path_.empty() ? key : path_ + '.' + key; }

 private:
  const Json& array_of(const char* key) const;

  const Json& value_;
  std::string path_;
};

}  // namespace bba::store
