#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include "bba/base/text.hpp"
#include "bba/classes/minio.hpp"
#include "bba/ops/capture_part.hpp"
#include "bba/ops/listing.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

using classes::ObjectEntry;

// `mc cat A B C` writes one object after the other without a mark between them, so many small ones
// are taken at once and told apart by their listed sizes and MD5s; a large one is taken alone.
constexpr std::uint64_t largest_small = 1 << 20;
constexpr std::uint64_t batch_bytes = 4 << 20;
constexpr std::size_t batch_objects = 200;
constexpr std::size_t batch_argv_bytes = 64 << 10;
constexpr int tries = 4;  // of an object that changes between its listing and its reading

// JSON values in a stream of text: one a line, but for errors, which mc prints over several.
class JsonLines : public pipe::Stage {
 public:
  explicit JsonLines(std::function<void(const ObjectEntry&)> use) : use_(std::move(use)) {}

  void write(const Chunk& chunk) override {
    std::string_view text = chunk.text();
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      line_ += text.substr(0, end);
      if (line_.size() > longest) throw Error(ErrorKind::capture, "mc ls printed no listing");
      if (end == text.npos) return;
      text.remove_prefix(end + 1);
      take_line();
    }
  }
  void finish() override {
    take_line();
    if (!trimmed(line_).empty()) {
      throw Error(ErrorKind::capture, "mc ls printed what is no listing: " + line_.substr(0, 200));
    }
  }

 private:
  static constexpr std::size_t longest = 1 << 20;

  void take_line() {
    if (trimmed(line_).empty()) return;
    if (!parse_json(line_)) {
      line_ += '\n';  // the value goes on in the next line
      return;
    }
    const auto entry = classes::parse_object_line(line_);
    if (!entry) {
      throw Error(ErrorKind::capture, "mc ls printed what is no listing: " + line_.substr(0, 200));
    }
    use_(*entry);
    line_.clear();
  }

  std::function<void(const ObjectEntry&)> use_;
  std::string line_;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool same_digest(const ObjectEntry& object, const std::string& md5) {
  return !classes::is_md5(object.etag) || lower(object.etag) == md5;
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

// Collects a batch of small objects; nothing of it reaches the tar before all of it is proven.
class BatchStage : public pipe::Stage {
 public:
  explicit BatchStage(std::uint64_t expected) : expected_(expected) {}
  void write(const Chunk& chunk) override {
    if (content_.size() + chunk.size() > expected_) {
      too_much_ = true;
      return;
    }
    content_ += chunk.text();
  }
  void finish() override {}
  bool whole() const { return !too_much_ && content_.size() == expected_; }
  const std::string& content() const { return content_; }

 private:
  std::uint64_t expected_;
  std::string content_;
  bool too_much_ = false;
};

class ObjectCapture {
 public:
  ObjectCapture(const CaptureContext& context, const classes::ObjectMirror& mirror,
                ArtifactTail& tail, const Moved& moved)
      : context_(context), mirror_(mirror), tail_(tail), moved_(moved), tar_(tail.count) {}

  PartFindings run();

 private:
  wire::ExecConfig mc(std::vector<std::string> arguments) const {
    wire::ExecConfig exec = mirror_.mc;
    exec.argv.insert(exec.argv.end(), arguments.begin(), arguments.end());
    return exec;
  }
  std::string at_alias(const std::string& key) const { return mirror_.alias + "/" + key; }
  void list(const std::vector<std::string>& arguments,
            const std::function<void(const ObjectEntry&)>& use) const {
    JsonLines lines(use);
    stream_exec(context_, mc(arguments), lines, [](std::size_t) {});
  }
  std::optional<ObjectEntry> list_again(const std::string& key) const;

  void begin_entry(const ObjectEntry& object);
  void add_directory(const std::string& path);
  void add_small(const ObjectEntry& object, std::string_view content);
  void take(ObjectEntry object);
  void flush_batch();
  void take_alone(ObjectEntry object);
  bool stream_alone(const ObjectEntry& object);

  const CaptureContext& context_;
  const classes::ObjectMirror& mirror_;
  ArtifactTail& tail_;
  const Moved& moved_;
  pipe::TarWriter tar_;
  std::vector<ObjectEntry> batch_;
  std::uint64_t batch_size_ = 0;
  std::size_t batch_argv_ = 0;
  ArchiveCounts counts_;
  std::uint64_t objects_ = 0, object_bytes_ = 0, buckets_ = 0, retaken_ = 0, vanished_ = 0;
};

std::optional<ObjectEntry> ObjectCapture::list_again(const std::string& key) const {
  std::optional<ObjectEntry> found;
  try {
    // The listing of one object names it relative to its folder, so the key is put back.
    const std::string name = key.substr(key.find_last_of('/') + 1);
    list({"ls", "--json", at_alias(key)}, [&](const ObjectEntry& entry) {
      if (entry.key == name || entry.key == key) {
        found = entry;
        found->key = key;
      }
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::capture) throw;
    return std::nullopt;  // it is gone; where the server is, the next object's reading says so
  }
  return found;
}

void ObjectCapture::add_directory(const std::string& path) {
  pipe::TarEntry entry;
  entry.path = path;
  entry.type = pipe::TarType::directory;
  entry.mode = 0755;
  entry.mtime = context_.capture.target.container.running ? now().time_since_epoch().count() : 0;
  tar_.begin(entry);
  tar_.end();
  counts_.add(entry.type, 0);
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
  ++objects_;
  object_bytes_ += object.size;
}

void ObjectCapture::take(ObjectEntry object) {
  if (object.is_folder || object.key.ends_with('/')) return;
  if (const std::string reason = classes::bad_key(object.key); !reason.empty()) {
    throw Error(ErrorKind::capture,
                fmt::format("the object {} cannot be a path in a tar: {}", object.key, reason),
                "rename or remove it, or back the server up with --class E");
  }
  const std::size_t argument = at_alias(object.key).size() + 1;
  if (object.size > largest_small || !classes::is_md5(object.etag)) {
    take_alone(std::move(object));
    return;
  }
  if (batch_.size() == batch_objects || batch_size_ + object.size > batch_bytes ||
      batch_argv_ + argument > batch_argv_bytes) {
    flush_batch();
  }
  batch_size_ += object.size;
  batch_argv_ += argument;
  batch_.push_back(std::move(object));
}

void ObjectCapture::flush_batch() {
  if (batch_.empty()) return;
  const std::vector<ObjectEntry> batch = std::exchange(batch_, {});
  const std::uint64_t size = std::exchange(batch_size_, 0);
  batch_argv_ = 0;
  std::vector<std::string> arguments{"cat"};
  for (const ObjectEntry& object : batch) arguments.push_back(at_alias(object.key));

  BatchStage stage(size);
  bool read = false;
  try {
    stream_exec(context_, mc(arguments), stage, moved_);
    read = stage.whole();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::capture) throw;
  }
  std::size_t offset = 0;
  std::size_t done = 0;
  while (read && done < batch.size()) {
    const std::string_view content =
        std::string_view(stage.content()).substr(offset, batch[done].size);
    pipe::Hasher md5(pipe::DigestKind::md5);
    md5.update(as_bytes(content));
    // Where one does not match, the bounds of those behind it are not known either.
    if (!same_digest(batch[done], md5.hex())) break;
    add_small(batch[done], content);
    offset += batch[done].size;
    ++done;
  }
  for (; done < batch.size(); ++done) take_alone(batch[done]);
}

// Streams one object into the tar. False where what came is not what was listed: the entry is then
// complete in form, and a later one of the same name takes its place.
bool ObjectCapture::stream_alone(const ObjectEntry& object) {
  class Into : public pipe::Stage {
   public:
    Into(const ObjectEntry& listed, pipe::TarWriter& tar, const std::function<void()>& begin)
        : listed_(listed), tar_(tar), begin_(begin) {}
    void write(const Chunk& chunk) override {
      if (came_ == 0 && !chunk.empty()) begin_();
      const std::uint64_t room = listed_.size - std::min(listed_.size, came_);
      const ByteView fits = chunk.bytes().first(std::min<std::size_t>(chunk.size(), room));
      if (!fits.empty()) tar_.data(fits);
      md5_.update(chunk.bytes());
      came_ += chunk.size();
    }
    void finish() override {}
    std::uint64_t came() const { return came_; }
    std::string md5() { return md5_.hex(); }

   private:
    const ObjectEntry& listed_;
    pipe::TarWriter& tar_;
    const std::function<void()>& begin_;
    pipe::Hasher md5_{pipe::DigestKind::md5};
    std::uint64_t came_ = 0;
  };

  bool begun = false;
  const std::function<void()> begin = [&] {
    begin_entry(object);
    begun = true;
  };
  Into into(object, tar_, begin);
  bool good = true;
  try {
    stream_exec(context_, mc({"cat", at_alias(object.key)}), into, moved_);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::capture) throw;
    good = false;
  }
  good = good && into.came() == object.size && same_digest(object, into.md5());
  if (!begun) {
    // An empty object, or none at all.
    if (!good) return false;
    begin();
  }
  std::uint64_t lacking = object.size - std::min(object.size, into.came());
  const std::vector<std::byte> zeros(64 * 1024);
  while (lacking > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(lacking, zeros.size()));
    tar_.data(ByteView(zeros).first(piece));
    lacking -= piece;
  }
  tar_.end();
  return good;
}

void ObjectCapture::take_alone(ObjectEntry object) {
  for (int attempt = 1; attempt <= tries; ++attempt) {
    context_.session.stop.throw_if_requested();
    if (stream_alone(object)) {
      ++objects_;
      object_bytes_ += object.size;
      if (attempt > 1) ++retaken_;
      return;
    }
    const std::optional<ObjectEntry> again = list_again(object.key);
    if (!again) {
      // Deleted since it was listed, unless the server itself does not answer.
      list({"ls", "--json", mirror_.alias}, [](const ObjectEntry&) {});
      ++vanished_;
      return;
    }
    object = *again;
  }
  throw Error(
      ErrorKind::capture,
      fmt::format("the object {} could not be read as it is listed, {} times", object.key, tries),
      "if it changes all the time, stop its writer; if not, `mc cat` of it tells what is wrong");
}

PartFindings ObjectCapture::run() {
  add_directory("objects");
  // Empty buckets are in no listing of objects.
  std::vector<std::string> buckets;
  list({"ls", "--json", mirror_.alias}, [&](const ObjectEntry& entry) {
    std::string bucket = entry.key;
    while (bucket.ends_with('/')) bucket.pop_back();
    if (classes::bad_key(bucket).empty()) buckets.push_back(bucket);
  });
  for (const std::string& bucket : buckets) {
    add_directory("objects/" + bucket);
    ++buckets_;
  }
  Spool spool(context_.directory);
  list({"ls", "--recursive", "--json", mirror_.alias},
       [&](const ObjectEntry& object) { spool.add(object); });
  spool.flush();
  spool.for_each([&](ObjectEntry object) { take(std::move(object)); });
  flush_batch();
  tar_.finish();
  tail_.count.finish();

  PartFindings findings{found_json(counts_), {}};
  findings.found.erase("not_carried");
  findings.found.erase("sparse_expanded");
  findings.found["objects"] = objects_;
  findings.found["object_bytes"] = object_bytes_;
  findings.found["buckets"] = buckets_;
  if (retaken_ > 0) findings.found["retaken"] = retaken_;
  if (vanished_ > 0) {
    findings.found["vanished"] = vanished_;
    findings.warnings.push_back(
        fmt::format("{} objects were deleted between listing and reading", vanished_));
  }
  return findings;
}

}  // namespace

PartFindings capture_objects(const CaptureContext& context, const classes::ObjectMirror& mirror,
                             ArtifactTail& tail, const Moved& moved) {
  return ObjectCapture(context, mirror, tail, moved).run();
}

}  // namespace bba::ops
