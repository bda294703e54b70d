// Class D, MinIO: every object through mc inside the container. Source: minio/mc cmd/ls-main.go,
// cmd/cat-main.go and its documents of `mc ls`, `mc cat` and MC_HOST_<alias>.
#pragma once

#include <map>

#include "bba/classes/mounts.hpp"

namespace bba::classes {

// mc with the alias's credentials in Env: the operator's MC_HOST_<alias>, else the container's root
// user. `user` and `password` with _FILE variants already read.
wire::ExecConfig minio_client(const Target& target, const std::string& alias,
                              const std::map<std::string, std::string>& operator_environment,
                              const std::optional<std::string>& user,
                              const std::optional<std::string>& password);

struct ObjectEntry {
  std::string key;  // below the alias: "bucket/path/to/object"; ends in '/' for a bucket
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // seconds since 1970
  std::string etag;
  bool is_folder = false;
};
// One line of `mc ls --json`. nullopt where it is none; an error object throws Error{capture} with
// its message.
std::optional<ObjectEntry> parse_object_line(std::string_view line);
// An etag that is the MD5 of the content: 32 hex digits.
bool is_md5(std::string_view etag);
// Keys that cannot be a path in a tar: NUL, an empty or `..` component. The reason, or empty.
std::string bad_key(std::string_view key);

Capture minio_objects(const Target& target, const wire::ExecConfig& mc, const std::string& alias);

}  // namespace bba::classes
