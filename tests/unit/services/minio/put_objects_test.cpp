#include "services/minio/put_objects.hpp"

#include <doctest/doctest.h>

#include "services/minio/object_index.hpp"

namespace bba::services::minio {

TEST_CASE(
    "the etag of an upload in one part is that of the content's MD5, as a real server has it") {
  // plain/a of the recorded listing, "a\n".
  CHECK(single_part_etag("60b725f10c9c85c70d97880dfe8191b3") ==
        "6d9d51f5ac5484b9001c319dbb39c139-1");
}

TEST_CASE("a listing is found by key, and knows an object that was written since") {
  ObjectIndex index;
  for (const char* key : {"b/2", "a/1", "b/1"}) {
    index.add({.key = key, .size = 3, .mtime = 17, .etag = "60B725F10C9C85C70D97880DFE8191B3"});
  }
  index.close();
  CHECK(index.all().size() == 3);
  ObjectEntry object{
      .key = "b/1", .size = 3, .mtime = 17, .etag = "60b725f10c9c85c70d97880dfe8191b3"};
  const Listed* found = index.find(listed(object).key);
  REQUIRE(found != nullptr);
  CHECK(*found == listed(object));
  object.mtime = 18;
  CHECK_FALSE(*found == listed(object));
  object.key = "b/3";
  CHECK(index.find(listed(object).key) == nullptr);
}

}  // namespace bba::services::minio
