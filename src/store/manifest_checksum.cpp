#include "bba/store/manifest_checksum.hpp"

#include <algorithm>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/digest.hpp"

namespace bba::store {

namespace {

constexpr std::size_t digits = 64;
constexpr std::string_view before_sum = "  \"sha256\": \"";
constexpr std::string_view after_sum = "\"\n}\n";
constexpr std::size_t checksum_size = before_sum.size() + digits + after_sum.size();

std::string sha256_of(std::string_view text) {
  pipe::Hasher hasher;
  hasher.update(as_bytes(text));
  return hasher.hex();
}

}  // namespace

std::string with_checksum(const Json& manifest) {
  constexpr std::string_view end = "\n}\n";
  std::string text = pretty_json(manifest);
  if (!text.ends_with(end)) throw Error(ErrorKind::internal, "a manifest is an object of lines");
  text.replace(text.size() - end.size(), end.size(), ",\n");
  const std::string sum = sha256_of(text);
  return text.append(before_sum).append(sum).append(after_sum);
}

std::string checksum_error(std::string_view file) {
  const std::string_view line = file.substr(file.size() - std::min(file.size(), checksum_size));
  if (line.size() < checksum_size || !line.starts_with(before_sum) || !line.ends_with(after_sum)) {
    return "it does not end with its own sha256: it was edited";
  }
  const std::string_view said = line.substr(before_sum.size(), digits);
  const std::string sum = sha256_of(file.substr(0, file.size() - checksum_size));
  if (sum == said) return {};
  return fmt::format("it was edited: the sha256 of its text is {}, and it says {}", sum, said);
}

}  // namespace bba::store
