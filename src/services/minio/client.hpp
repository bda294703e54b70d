// MinIO's client inside the container: its commands and its answers. Source: minio/mc
// cmd/ls-main.go, cmd/cat-main.go and its documents of `mc ls`, `mc cat` and MC_HOST_<alias>.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bba/pipe/stage.hpp"
#include "bba/service/capture.hpp"

namespace bba::services::minio {

// Whether mc takes it for an alias: a letter, then letters, digits, '-' and '_'.
bool valid_alias(std::string_view alias);

// The variables of the container that hold its root user.
std::vector<std::string> user_variables();
std::vector<std::string> password_variables();

// mc with the alias's credentials in Env: the operator's MC_HOST_<alias>, else the container's root
// user. `user` and `password` with _FILE variants already read.
wire::ExecConfig client(const service::Target& target, const std::string& alias,
                        const std::map<std::string, std::string>& operator_environment,
                        const std::optional<std::string>& user,
                        const std::optional<std::string>& password);
// The same program with these arguments.
wire::ExecConfig with_arguments(wire::ExecConfig mc, const std::vector<std::string>& arguments);

// Why mc does not know the alias, from its answer to `mc alias list --json ALIAS`; nullopt where it
// knows it. `ls` does not show it: for an unknown alias it lists nothing and succeeds, as for an
// empty server. The answer holds the alias's secret key, so nothing of it is repeated but the
// words of an error.
std::optional<std::string> alias_unknown_because(std::string_view answer, std::string_view alias);

struct ObjectEntry {
  std::string key;  // below the alias: "bucket/path/to/object"; ends in '/' for a bucket
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  // seconds since 1970
  std::string etag;
  bool is_folder = false;
};
// One value of `mc ls --json`. nullopt for anything else; an error object throws Error{capture}
// with its message, and a file of the container Error{config}: mc takes a word that is not an alias
// for a path.
std::optional<ObjectEntry> parse_object_line(std::string_view line);

// Takes a listing as it comes, in pieces of any size: a JSON value per line, except for errors,
// which mc prints over several.
class ObjectListing {
 public:
  // How it ends: anywhere, or with the totals that --summarize adds, which have to be those of what
  // was listed.
  enum class End { anywhere, totals };

  ObjectListing(End end, std::function<void(const ObjectEntry&)> use)
      : end_(end), use_(std::move(use)) {}
  // Both throw Error{capture} at what is not a listing, or not all of it.
  void add(std::string_view text);
  void end();

 private:
  void take_line();
  void compare_totals() const;

  struct Totals {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
    bool operator==(const Totals&) const = default;
  };
  static std::optional<Totals> totals_in(const Json& value);

  End end_;
  std::function<void(const ObjectEntry&)> use_;
  std::string value_;
  Totals listed_;
  std::optional<Totals> said_;  // by mc, at the end
};

class ListingStage : public pipe::Stage {
 public:
  ListingStage(ObjectListing::End end, std::function<void(const ObjectEntry&)> use)
      : listing_(end, std::move(use)) {}
  void write(const Chunk& chunk) override { listing_.add(chunk.text()); }
  void finish() override { listing_.end(); }

 private:
  ObjectListing listing_;
};

// An etag that is the MD5 of the content: 32 hex digits.
bool is_md5(std::string_view etag);
// Keys that cannot be a path in a tar: NUL, an empty, `.` or `..` component. The reason, or empty.
std::string bad_key(std::string_view key);

// Whether a directory of a server's data with this name is a bucket, and not one of the server's
// own or of its file system.
bool valid_bucket(std::string_view name);
// From the answer to `mc admin info --json ALIAS`, which needs an administrator's key; nullopt
// where it does not say. The server counted at its last scan, which may be a while ago.
std::optional<std::uint64_t> bucket_count(std::string_view answer);

// Credentials that may see only some buckets do not show the others. What is known of all of them:
struct ServerBuckets {
  std::optional<std::set<std::string>> directories;  // in its data, where this host can read that
  std::optional<std::uint64_t> count;                // bucket_count
};
// Notes in the capture which buckets the credentials do not show, or that this is not known.
void note_hidden_buckets(service::Capture& capture, const std::string& alias,
                         const std::set<std::string>& shown, const ServerBuckets& server);

service::Capture objects_capture(const service::Target& target, const wire::ExecConfig& mc,
                                 const std::string& alias);

}  // namespace bba::services::minio
