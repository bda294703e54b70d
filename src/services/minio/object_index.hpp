// What a server lists, by key: 48 bytes an object.
#pragma once

#include <cstdint>
#include <vector>

#include "bba/tree/tree_comparer.hpp"
#include "client.hpp"

namespace bba::services::minio {

struct Listed {
  tree::EntryDigest key{};
  tree::EntryDigest etag{};
  std::uint64_t size = 0;
  std::int64_t mtime = 0;

  // Whether it is the same object, and nobody has written it since.
  friend bool operator==(const Listed& a, const Listed& b) {
    return a.key == b.key && a.etag == b.etag && a.size == b.size && a.mtime == b.mtime;
  }
};

Listed listed(const ObjectEntry& object);
// Etags differ in case only where they are the same.
tree::EntryDigest etag_digest(std::string etag);

class ObjectIndex {
 public:
  void add(const ObjectEntry& object) { objects_.push_back(listed(object)); }
  // Once all are added, before the first look.
  void close();
  // nullptr where it is not listed.
  const Listed* find(const tree::EntryDigest& key) const;
  const std::vector<Listed>& all() const { return objects_; }

 private:
  std::vector<Listed> objects_;
};

}  // namespace bba::services::minio
