#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <map>
#include <span>
#include <unistd.h>
#include <utility>

#include "bba/base/text.hpp"
#include "client.hpp"
#include "bba/capture/capture_part.hpp"
#include "bba/tree/tar_against_walk.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

using classes::ObjectEntry;
using classes::ObjectListing;

// `mc cat A B C` writes one object after the other without a mark between them, so many small ones
// are taken at once and told apart by their listed sizes and MD5s; a large one is taken alone.
constexpr std::uint64_t largest_small = 1 << 20;
constexpr std::uint64_t batch_bytes = 4 << 20;
constexpr std::size_t batch_objects = 200;
constexpr std::size_t batch_argv_bytes = 64 << 10;
constexpr std::size_t most_other_etags = 1000;  // kept in the manifest
constexpr int tries = 4;  // of an object that changes between its listing and its reading

class ListingStage : public pipe::Stage {
 public:
  ListingStage(ObjectListing::End end, const std::function<void(const ObjectEntry&)>& use)
      : listing_(end, use) {}
  void write(const Chunk& chunk) override { listing_.add(chunk.text()); }
  void finish() override { listing_.end(); }

 private:
  ObjectListing listing_;
};

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

// Keeps a listing of any length out of memory: lines in a file without a name.
class Spool {
 public:
  explicit Spool(const store::BackupDirectory& directory) : file_(directory) {}

  void add(const ObjectEntry& object) {
    pending_ += dump_json({object.key, object.size, object.mtime, object.etag}) + '\n';
    if (pending_.size() > (256 << 10)) flush();
  }
  void flush() {
    file_.write(as_bytes(pending_));
    pending_.clear();
  }
  // Calls `use` with each object in the order of the listing.
  void for_each(const std::function<void(ObjectEntry)>& use) const;

 private:
  store::ArtifactFile file_;
  std::string pending_;
};

void Spool::for_each(const std::function<void(ObjectEntry)>& use) const {
  std::string text;
  std::array<char, 64 * 1024> buffer{};
  off_t offset = 0;
  for (;;) {
    const ssize_t count = ::pread(file_.fd(), buffer.data(), buffer.size(), offset);
    if (count < 0) throw system_error(ErrorKind::storage, "reading the list of objects", errno);
    if (count == 0) return;
    offset += count;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
      const std::optional<Json> json =
          parse_json(std::string_view(text).substr(begin, end - begin));
      const Json& one = json.value();
      ObjectEntry object;
      object.key = one[0].get<std::string>();
      object.size = one[1].get<std::uint64_t>();
      object.mtime = one[2].get<std::int64_t>();
      object.etag = one[3].get<std::string>();
      use(std::move(object));
    }
    text.erase(0, begin);
  }
}

// Collects small objects: nothing of them reaches the tar before it is proven.
class CollectStage : public pipe::Stage {
 public:
  explicit CollectStage(std::uint64_t expected) : expected_(expected) {}
  void write(const Chunk& chunk) override {
    const std::uint64_t room = expected_ - content_.size();
    content_ += chunk.text().substr(0, room);
    came_ += chunk.size();
  }
  void finish() override {}
  const std::string& content() const { return content_; }  // no more than was expected
  std::uint64_t came() const { return came_; }

 private:
  std::uint64_t expected_;
  std::uint64_t came_ = 0;
  std::string content_;
};

// Keeps a large object in a file without a name until it is proven: what the tar once holds cannot
// be taken out of it again.
class KeepStage : public pipe::Stage {
 public:
  KeepStage(const store::BackupDirectory& directory, std::uint64_t expected)
      : file_(directory), expected_(expected) {}
  void write(const Chunk& chunk) override {
    came_ += chunk.size();
    if (came_ > expected_) return;  // it is another one than was listed
    file_.write(chunk.bytes());
    md5_.update(chunk.bytes());
  }
  void finish() override {}
  std::uint64_t came() const { return came_; }
  std::string md5() { return md5_.hex(); }
  int fd() const { return file_.fd(); }

 private:
  store::ArtifactFile file_;
  std::uint64_t expected_;
  std::uint64_t came_ = 0;
  pipe::Hasher md5_{pipe::DigestKind::md5};
};

class ObjectCapture {
 public:
  ObjectCapture(const CaptureContext& context, const classes::ObjectMirror& mirror,
                ArtifactTail& tail, const Moved& moved)
      : context_(context), mirror_(mirror), tail_(tail), moved_(moved), tar_(tail.count) {}

  PartFindings run();

 private:
  wire::ExecConfig mc(const std::vector<std::string>& arguments) const {
    wire::ExecConfig exec = mirror_.mc;
    exec.argv.insert(exec.argv.end(), arguments.begin(), arguments.end());
    return exec;
  }
  std::string at_alias(const std::string& key) const { return mirror_.alias + "/" + key; }
  void list(const std::vector<std::string>& arguments,
            const std::function<void(const ObjectEntry&)>& use,
            ObjectListing::End end = ObjectListing::End::anywhere) const {
    ListingStage listing(end, use);
    stream_exec(context_, mc(arguments), listing, [](std::size_t) {});
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

  PartFindings findings();

  const CaptureContext& context_;
  const classes::ObjectMirror& mirror_;
  ArtifactTail& tail_;
  const Moved& moved_;
  pipe::TarWriter tar_;
  std::vector<ObjectEntry> batch_;
  std::uint64_t batch_size_ = 0;
  std::size_t batch_argv_ = 0;
  ArchiveCounts counts_;
  std::uint64_t objects_ = 0, object_bytes_ = 0, buckets_ = 0, folders_ = 0;
  std::uint64_t md5_etags_ = 0, retaken_ = 0, vanished_ = 0;
  std::map<std::string, std::string> other_etags_;  // of the first that are no MD5
  pipe::Hasher listing_;
  std::string refusal_;  // what mc said last, where it failed
};

// How the object is listed now; nullopt where it is gone.
std::optional<ObjectEntry> ObjectCapture::list_again(const std::string& key) const {
  std::optional<ObjectEntry> found;
  // The listing of one object names it relative to its folder, and others that begin like it, too.
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

// Whether what was read, all of its size, is what was listed. An etag that is no MD5 says nothing
// of the bytes: then the object has to be listed after its reading as it was before.
bool ObjectCapture::is_as_listed(const ObjectEntry& object, const std::string& md5) const {
  if (classes::is_md5(object.etag)) return lower(object.etag) == md5;
  const std::optional<ObjectEntry> now = list_again(object.key);
  return now && now->etag == object.etag && now->size == object.size && now->mtime == object.mtime;
}

// False where mc failed: what it wrote until then may be whole objects nevertheless.
bool ObjectCapture::cat(const std::vector<std::string>& keys, pipe::Stage& next) {
  std::vector<std::string> arguments{"cat"};
  for (const std::string& key : keys) arguments.push_back(at_alias(key));
  try {
    stream_exec(context_, mc(arguments), next, moved_);
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

// All of them: empty ones are in no listing of objects.
void ObjectCapture::add_buckets() {
  list({"ls", "--json", mirror_.alias}, [&](const ObjectEntry& entry) {
    std::string bucket = entry.key;
    while (bucket.ends_with('/')) bucket.pop_back();
    if (const std::string reason = classes::bad_key(bucket); !reason.empty()) {
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
  if (classes::is_md5(object.etag)) {
    ++md5_etags_;
  } else if (other_etags_.size() < most_other_etags) {
    other_etags_[object.key] = lower(object.etag);
  }
  listing_.update(as_bytes(fmt::format("{} {} {}\n", lower(object.etag), object.size, object.key)));
}

void ObjectCapture::take(ObjectEntry object) {
  const bool marker = object.is_folder || object.key.ends_with('/');
  while (object.key.ends_with('/')) object.key.pop_back();
  if (const std::string reason = classes::bad_key(object.key); !reason.empty()) {
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
  if (object.size > largest_small || !classes::is_md5(object.etag)) {
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
// from there on nothing says where one ends. How many were added.
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
    // That nothing came for an empty object proves something only together with what follows it.
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
    context_.session.stop.throw_if_requested();
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
    context_.session.stop.throw_if_requested();
    if (object.size > largest_small ? keep_alone(object) : collect_alone(object)) {
      if (attempt > 1) ++retaken_;
      return;
    }
    std::optional<ObjectEntry> again = list_again(object.key);
    if (!again) {
      // Deleted since it was listed, unless the server itself does not answer.
      list({"ls", "--json", mirror_.alias}, [](const ObjectEntry&) {});
      ++vanished_;
      return;
    }
    object = std::move(*again);
  }
  throw Error(ErrorKind::capture,
              fmt::format("the object {} could not be read as it is listed, {} times{}", object.key,
                          tries, refusal_.empty() ? "" : ": " + refusal_),
              "if it changes all the time, stop its writer; if not, `mc cat` of it tells what is "
              "wrong; where "
              "its etag is not the MD5 of its content (SSE-KMS), unset MINIO_MC_ALIAS to archive "
              "the files");
}

PartFindings ObjectCapture::run() {
  add_directory("objects", now().time_since_epoch().count());
  add_buckets();
  Spool spool(context_.directory);
  list(
      {"ls", "--recursive", "--summarize", "--json", mirror_.alias},
      [&](const ObjectEntry& object) { spool.add(object); }, ObjectListing::End::totals);
  spool.flush();
  spool.for_each([&](ObjectEntry object) { take(std::move(object)); });
  take_batch();
  tar_.finish();
  tail_.count.finish();
  return findings();
}

PartFindings ObjectCapture::findings() {
  PartFindings findings{found_json(counts_), {}};
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

PartFindings capture_objects(const CaptureContext& context, const classes::ObjectMirror& mirror,
                             ArtifactTail& tail, const Moved& moved) {
  try {
    return ObjectCapture(context, mirror, tail, moved).run();
  } catch (Error& error) {
    // It ran when its objects were listed: what was begun has failed.
    if (error.kind() == ErrorKind::container) error.with_kind(ErrorKind::capture);
    throw;
  }
}

}  // namespace bba::ops
