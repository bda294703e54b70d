// The list of what is to be read, kept out of memory.
#pragma once

#include <functional>
#include <string>

#include "bba/store/artifact_file.hpp"
#include "client.hpp"

namespace bba::services::minio {

// Keeps a listing of any length out of memory: lines in a file without a name.
class ObjectSpool {
 public:
  explicit ObjectSpool(const store::OwnedDirectory& directory) : file_(directory) {}

  void add(const ObjectEntry& object);
  void flush();
  // Calls `use` with each object in the order of the listing.
  void for_each(const std::function<void(ObjectEntry)>& use) const;

 private:
  store::ArtifactFile file_;
  std::string pending_;
};

}  // namespace bba::services::minio
