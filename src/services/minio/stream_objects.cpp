#include "stream_objects.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <map>
#include <span>
#include <unistd.h>
#include <utility>

#include "bba/base/text.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/tree/archive_counts.hpp"
#include "client.hpp"
#include "object_spool.hpp"
#include "object_stages.hpp"

namespace bba::services::minio {

namespace {

// `mc cat A B C` writes one object after the other without a mark between them, so many small ones
// are taken at once and told apart by their listed sizes and MD5s; a large one is taken alone.
constexpr std::uint64_t largest_small = 1 << 20;
constexpr std::uint64_t batch_bytes = 4 << 20;
constexpr std::size_t batch_objects = 200;
constexpr std::size_t batch_argv_bytes = 64 << 10;
constexpr std::size_t most_other_etags = 1000;  // kept in the manifest
constexpr int tries = 4;  // of an object that changes between its listing and its reading

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string md5_of(std::string_view content) {
  pipe::Hasher hasher(pipe::DigestKind::md5);
  hasher.update(as_bytes(content));
  return hasher.hex();
}

class ObjectCapture {
 public:
  ObjectCapture(const service::PartContext& context, const service::ServicePart& part,
                pipe::Stage& out, const ProgressFn& moved)
      : context_(context),
        alias_(part.subject),
        mc_(part.program),
        out_(out),
        moved_(moved),
        tar_(out) {}

  service::PartFindings run();

 private:
  std::string at_alias(const std::string& key) const { return alias_ + "/" + key; }
  void list(const std::vector<std::string>& arguments,
            const std::function<void(const ObjectEntry&)>& use,
            ObjectListing::End end = ObjectListing::End::anywhere) const {
    ListingStage listing(end, use);
    context_.stream_exec(with_arguments(mc_, arguments), listing, [](std::size_t) {});
  }
  std::optional<ObjectEntry> list_again(const std::string& key) const;
  bool is_as_listed(const ObjectEntry& object, const std::string& md5) const;
  bool cat(const std::vector<std::string>& keys, pipe::Stage& next);

  void add_directory(const std::string& path, std::int64_t mtime);
  void add_buckets();
  void begin_entry(const ObjectEntry& object);
  void add_small(const ObjectEntry& object, std::string_view content);
  void count(const ObjectEntry& object);

  void take(ObjectEntry object);
  void take_batch();
  std::size_t take_together(std::span<const ObjectEntry> batch);
  void take_alone(ObjectEntry object);
  bool collect_alone(const ObjectEntry& object);
  bool keep_alone(const ObjectEntry& object);

  service::PartFindings findings();

  const service::PartContext& context_;
  const std::string& alias_;
  const wire::ExecConfig& mc_;
  pipe::Stage& out_;
  const ProgressFn& moved_;
  pipe::TarWriter tar_;
  std::vector<ObjectEntry> batch_;
  std::uint64_t batch_size_ = 0;
  std::size_t batch_argv_ = 0;
  tree::ArchiveCounts counts_;
  std::uint64_t objects_ = 0, object_bytes_ = 0, buckets_ = 0, folders_ = 0;
  std::uint64_t md5_etags_ = 0, retaken_ = 0, vanished_ = 0;
  std::map<std::string, std::string> other_etags_;  // of the first that are not MD5s
  pipe::Hasher listing_;
  std::string refusal_;  // what mc said last, where it failed
};

// How the object is listed now; nullopt where it is gone.
std::optional<ObjectEntry> ObjectCapture::list_again(const std::string& key) const {
  std::optional<ObjectEntry> found;
  // The listing of one object names it relative to its folder, and lists others that begin like it.
  const std::string name = key.substr(key.find_last_of('/') + 1);
  try {
    list({"ls", "--json", at_alias(key)}, [&](const ObjectEntry& entry) {
      if (entry.key == name) {
        found = entry;
        found->key = key;
      }
    });
  } catch (const Error& error) {
    const std::string_view words = error.what();
    if (words.find("does not exist") == words.npos && words.find("not found") == words.npos) throw;
    return std::nullopt;
  }
  return found;
}

// Whether what was read, all of its size, is what was listed. An etag that is not an MD5 says
// nothing of the bytes: then it has to be listed after it was read as it was before.
bool ObjectCapture::is_as_listed(const ObjectEntry& object, const std::string& md5) const {
  if (is_md5(object.etag)) return lower(object.etag) == md5;
  const std::optional<ObjectEntry> now = list_again(object.key);
  return now && now->etag == object.etag && now->size == object.size && now->mtime == object.mtime;
}

// False where mc failed: what it wrote until then may still be whole objects.
bool ObjectCapture::cat(const std::vector<std::string>& keys, pipe::Stage& next) {
  std::vector<std::string> arguments{"cat"};
  for (const std::string& key : keys) arguments.push_back(at_alias(key));
  try {
    context_.stream_exec(with_arguments(mc_, arguments), next, moved_);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::capture) throw;
    refusal_ = error.what();
    return false;
  }
  refusal_.clear();
  return true;
}

void ObjectCapture::add_directory(const std::string& path, std::int64_t mtime) {
  pipe::TarEntry entry;
  entry.path = path;
  entry.type = pipe::TarType::directory;
  entry.mode = 0755;
  entry.mtime = mtime;
  tar_.begin(entry);
  tar_.end();
  counts_.add(entry.type, 0);
}

// Adds all buckets: empty ones are in no listing of objects.
void ObjectCapture::add_buckets() {
  list({"ls", "--json", alias_}, [&](const ObjectEntry& entry) {
    std::string bucket = entry.key;
    while (bucket.ends_with('/')) bucket.pop_back();
    if (const std::string reason = bad_key(bucket); !reason.empty()) {
      throw Error(ErrorKind::capture,
                  fmt::format("the bucket {} cannot be a path in a tar: {}", entry.key, reason));
    }
    add_directory("objects/" + bucket, entry.mtime);
    ++buckets_;
  });
}

void ObjectCapture::begin_entry(const ObjectEntry& object) {
  pipe::TarEntry entry;
  entry.path = "objects/" + object.key;
  entry.size = object.size;
  entry.mode = 0644;
  entry.mtime = object.mtime;
  tar_.begin(entry);
  counts_.add(entry.type, entry.size);
}

void ObjectCapture::add_small(const ObjectEntry& object, std::string_view content) {
  begin_entry(object);
  tar_.data(as_bytes(content));
  tar_.end();
  count(object);
}

// The object is in the tar as it is listed.
void ObjectCapture::count(const ObjectEntry& object) {
  ++objects_;
  object_bytes_ += object.size;
  if (is_md5(object.etag)) {
    ++md5_etags_;
  } else if (other_etags_.size() < most_other_etags) {
    other_etags_[object.key] = lower(object.etag);
  }
  listing_.update(as_bytes(fmt::format("{} {} {}\n", lower(object.etag), object.size, object.key)));
}

void ObjectCapture::take(ObjectEntry object) {
  const bool marker = object.is_folder || object.key.ends_with('/');
  while (object.key.ends_with('/')) object.key.pop_back();
  if (const std::string reason = bad_key(object.key); !reason.empty()) {
    throw Error(ErrorKind::capture,
                fmt::format("the object {} cannot be a path in a tar: {}", object.key, reason),
                "rename or remove it, or back the server up with --class E");
  }
  if (marker) {
    take_batch();
    add_directory("objects/" + object.key, object.mtime);
    ++folders_;
    return;
  }
  if (object.size > largest_small || !is_md5(object.etag)) {
    take_batch();
    take_alone(std::move(object));
    return;
  }
  const std::size_t argument = at_alias(object.key).size() + 1;
  if (batch_.size() == batch_objects || batch_size_ + object.size > batch_bytes ||
      batch_argv_ + argument > batch_argv_bytes) {
    take_batch();
  }
  batch_size_ += object.size;
  batch_argv_ += argument;
  batch_.push_back(std::move(object));
}

void ObjectCapture::take_batch() {
  const std::vector<ObjectEntry> batch = std::exchange(batch_, {});
  batch_size_ = 0;
  batch_argv_ = 0;
  std::span<const ObjectEntry> left(batch);
  while (!left.empty()) {
    left = left.subspan(take_together(left));
    if (left.empty()) return;
    take_alone(left.front());
    left = left.subspan(1);
  }
}

// Reads them with one mc and adds those that came as they are listed, up to the first that did not:
// from there on nothing says where one ends. Returns how many were added.
std::size_t ObjectCapture::take_together(std::span<const ObjectEntry> batch) {
  std::vector<std::string> keys;
  std::uint64_t size = 0;
  for (const ObjectEntry& object : batch) {
    keys.push_back(object.key);
    size += object.size;
  }
  CollectStage collect(size);
  const bool ended_well = cat(keys, collect);
  const std::string_view content = collect.content();

  std::vector<std::string_view> pieces;
  std::size_t proven = 0;
  std::size_t offset = 0;
  for (const ObjectEntry& object : batch) {
    if (object.size > content.size() - offset) break;
    const std::string_view piece = content.substr(offset, object.size);
    if (lower(object.etag) != md5_of(piece)) break;
    pieces.push_back(piece);
    offset += piece.size();
    // An empty object is proven only by an object after it.
    if (!piece.empty()) proven = pieces.size();
  }
  if (ended_well && collect.came() == size && pieces.size() == batch.size()) proven = batch.size();
  for (std::size_t i = 0; i < proven; ++i) add_small(batch[i], pieces[i]);
  return proven;
}

bool ObjectCapture::collect_alone(const ObjectEntry& object) {
  CollectStage collect(object.size);
  if (!cat({object.key}, collect) || collect.came() != object.size ||
      !is_as_listed(object, md5_of(collect.content()))) {
    return false;
  }
  add_small(object, collect.content());
  return true;
}

bool ObjectCapture::keep_alone(const ObjectEntry& object) {
  KeepStage keep(context_.directory, object.size);
  if (!cat({object.key}, keep) || keep.came() != object.size || !is_as_listed(object, keep.md5())) {
    return false;
  }
  begin_entry(object);
  std::vector<std::byte> buffer(256 << 10);
  for (std::uint64_t offset = 0; offset < object.size;) {
    context_.stop.throw_if_requested();
    const ssize_t count =
        ::pread(keep.fd(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0) throw system_error(ErrorKind::storage, "reading " + object.key, errno);
    if (count == 0) throw Error(ErrorKind::storage, object.key + " has become shorter");
    tar_.data(ByteView(buffer).first(static_cast<std::size_t>(count)));
    offset += static_cast<std::uint64_t>(count);
  }
  tar_.end();
  count(object);
  return true;
}

void ObjectCapture::take_alone(ObjectEntry object) {
  for (int attempt = 1; attempt <= tries; ++attempt) {
    context_.stop.throw_if_requested();
    if (object.size > largest_small ? keep_alone(object) : collect_alone(object)) {
      if (attempt > 1) ++retaken_;
      return;
    }
    std::optional<ObjectEntry> again = list_again(object.key);
    if (!again) {
      // Deleted since it was listed, unless the server itself does not answer.
      list({"ls", "--json", alias_}, [](const ObjectEntry&) {});
      ++vanished_;
      return;
    }
    object = std::move(*again);
  }
  throw Error(ErrorKind::capture,
              fmt::format("the object {} could not be read as it is listed, {} times{}", object.key,
                          tries, refusal_.empty() ? "" : ": " + refusal_),
              "if it changes all the time, stop its writer; if not, `mc cat` of it tells what is "
              "wrong; where its etag is not the MD5 of its content (SSE-KMS), unset MINIO_MC_ALIAS "
              "to archive the files");
}

service::PartFindings ObjectCapture::run() {
  add_directory("objects", now().time_since_epoch().count());
  add_buckets();
  ObjectSpool spool(context_.directory);
  list(
      {"ls", "--recursive", "--summarize", "--json", alias_},
      [&](const ObjectEntry& object) { spool.add(object); }, ObjectListing::End::totals);
  spool.flush();
  spool.for_each([&](ObjectEntry object) { take(std::move(object)); });
  take_batch();
  tar_.finish();
  out_.finish();
  return findings();
}

service::PartFindings ObjectCapture::findings() {
  service::PartFindings findings{tree::found_json(counts_), {}};
  Json& found = findings.found;
  found.erase("not_carried");
  found.erase("sparse_expanded");
  found["objects"] = objects_;
  found["object_bytes"] = object_bytes_;
  found["buckets"] = buckets_;
  found["folders"] = folders_;
  found["md5_etags"] = md5_etags_;
  found["other_etags"] = objects_ - md5_etags_;
  if (!other_etags_.empty()) found["other_etags_by_key"] = other_etags_;
  found["listing_sha256"] = listing_.hex();
  found["retaken"] = retaken_;
  found["vanished"] = vanished_;
  if (folders_ > 0) {
    findings.warnings.push_back(fmt::format(
        "{} keys end in '/': they are directories in the tar, and restoring does not bring them "
        "back as objects",
        folders_));
  }
  if (vanished_ > 0) {
    findings.warnings.push_back(
        fmt::format("{} objects were deleted between listing and reading", vanished_));
  }
  return findings;
}

}  // namespace

service::PartFindings stream_objects(const service::PartContext& context,
                                     const service::ServicePart& part, pipe::Stage& out,
                                     const ProgressFn& moved) {
  try {
    return ObjectCapture(context, part, out, moved).run();
  } catch (Error& error) {
    // The container ran when this began, so it is a capture that failed.
    if (error.kind() == ErrorKind::container) error.with_kind(ErrorKind::capture);
    throw;
  }
}

}  // namespace bba::services::minio
