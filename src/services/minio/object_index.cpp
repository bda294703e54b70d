#include "object_index.hpp"

#include <algorithm>
#include <cctype>

namespace bba::services::minio {

tree::EntryDigest etag_digest(std::string etag) {
  std::transform(etag.begin(), etag.end(), etag.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return tree::digest_of_path(etag);
}

Listed listed(const ObjectEntry& object) {
  return {tree::digest_of_path(object.key), etag_digest(object.etag), object.size, object.mtime};
}

void ObjectIndex::close() {
  std::sort(objects_.begin(), objects_.end(),
            [](const Listed& a, const Listed& b) { return a.key < b.key; });
}

const Listed* ObjectIndex::find(const tree::EntryDigest& key) const {
  const auto found =
      std::lower_bound(objects_.begin(), objects_.end(), key,
                       [](const Listed& one, const auto& wanted) { return one.key < wanted; });
  return found == objects_.end() || found->key != key ? nullptr : &*found;
}

}  // namespace bba::services::minio
