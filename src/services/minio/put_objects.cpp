#include "put_objects.hpp"

#include <algorithm>
#include <chrono>
#include <set>

#include "bba/base/text.hpp"
#include "bba/docker/exec_end.hpp"
#include "bba/docker/frame_stage.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"
#include "client.hpp"
#include "object_index.hpp"

namespace bba::services::minio {

namespace {

constexpr std::string_view top = "objects/";
constexpr std::size_t most_removed_at_once = 100;
constexpr std::size_t removed_argv_bytes = 64 << 10;

// An object of the artifact.
struct Wanted {
  tree::EntryDigest key{};
  tree::EntryDigest md5{};       // as an etag
  tree::EntryDigest one_part{};  // the etag of the same content as `mc pipe` puts it
  std::uint64_t size = 0;
  bool put = false;  // the server has it not, or not so
};

std::string md5_of_md5(const std::string& md5) {
  pipe::Hasher hasher(pipe::DigestKind::md5);
  std::string raw;
  for (std::size_t i = 0; i + 1 < md5.size(); i += 2) {
    raw += static_cast<char>(std::stoi(md5.substr(i, 2), nullptr, 16));
  }
  hasher.update(as_bytes(raw));
  return hasher.hex();
}

// Tells of the buckets and objects of an artifact as it passes: the object's key and MD5.
class ObjectWalk : public pipe::TarVisitor {
 public:
  using Bucket = std::function<void(const std::string&)>;
  using Object = std::function<void(const std::string& key, std::uint64_t size, std::string md5)>;
  ObjectWalk(Bucket bucket, Object object)
      : bucket_(std::move(bucket)), object_(std::move(object)) {}
  bool entry(const pipe::TarEntry& entry) override {
    entry_ = entry;
    return true;
  }
  void data(const Chunk& chunk) override { content_.update(chunk.bytes()); }
  void entry_end() override {
    std::string md5 = content_.hex();
    if (!entry_.path.starts_with(top)) return;
    const std::string key = entry_.path.substr(top.size());
    if (entry_.type == pipe::TarType::file) {
      object_(key, entry_.size, std::move(md5));
    } else if (key.find('/') == key.npos) {
      bucket_(key);
    }
  }

 private:
  Bucket bucket_;
  Object object_;
  pipe::TarEntry entry_;
  pipe::Hasher content_{pipe::DigestKind::md5};
};

// Feeds each object that is wanted of the artifact to a client of its own, as it passes.
class ObjectFeeder : public pipe::TarVisitor {
 public:
  using Open = std::function<std::unique_ptr<service::OpenFeed>(const std::string& key)>;
  using End = std::function<void(const std::string& key, const service::FeedResult&)>;
  ObjectFeeder(Open open, End end) : open_(std::move(open)), end_(std::move(end)) {}
  bool entry(const pipe::TarEntry& entry) override {
    if (entry.type != pipe::TarType::file || !entry.path.starts_with(top)) return true;
    key_ = entry.path.substr(top.size());
    feed_ = open_(key_);
    return true;
  }
  void data(const Chunk& chunk) override {
    if (feed_) feed_->write(chunk.bytes());
  }
  void entry_end() override {
    if (!feed_) return;
    const service::FeedResult result = feed_->finish();
    feed_.reset();
    end_(key_, result);
  }

 private:
  Open open_;
  End end_;
  std::string key_;
  std::unique_ptr<service::OpenFeed> feed_;  // of an object that is put
};

std::string count_of(std::uint64_t count) {
  return fmt::format("{} object{}", count, count == 1 ? "" : "s");
}

class PutObjects : public service::InPlace {
 public:
  PutObjects(service::RestoreTarget& target, const service::ServicePart& present, bool exact)
      : target_(target), alias_(present.subject), mc_(present.program), exact_(exact) {
    survey_server();
    survey_artifact();
  }

  std::vector<std::string> steps() const override {
    std::vector<std::string> lines;
    if (!new_buckets_.empty()) {
      const std::vector<std::string> buckets(new_buckets_.begin(), new_buckets_.end());
      lines.push_back("makes the buckets that are missing: " + join(buckets, ", "));
    }
    lines.push_back(
        fmt::format("puts {} ({}) through mc into {}, one after the other: {} missing, {} "
                    "that changed; {} are as in the set",
                    count_of(missing_ + changed_), format_bytes(put_bytes_), alias_, missing_,
                    changed_, wanted_.size() - missing_ - changed_));
    lines.push_back(exact_ ? fmt::format("removes {} that the set does not have", count_of(extra_))
                           : fmt::format("leaves {} that the set does not have (--exact removes "
                                         "what the set does not have)",
                                         count_of(extra_)));
    return lines;
  }
  bool is_whole() const override { return false; }

  void carry_out(const std::function<void()>& changing, std::vector<std::string>&) override {
    require_unchanged();
    changing();
    for (const std::string& bucket : new_buckets_) {
      must({"mb", "--ignore-existing", at_alias(bucket)});
    }
    put();
    if (exact_ && extra_ > 0) remove_extra();
    compare();
    report();
  }

 private:
  std::string at_alias(const std::string& key) const { return alias_ + "/" + key; }

  void list(const std::vector<std::string>& arguments, ObjectListing::End end,
            const std::function<void(const ObjectEntry&)>& use) {
    const wire::ExecConfig program = with_arguments(mc_, arguments);
    ListingStage listing(end, use);
    docker::FrameStage frames(listing);
    const std::string exec = target_.engine().create_exec(target_.id(), program);
    docker::Body body = target_.engine().start_exec(exec);
    while (const std::optional<Chunk> chunk = body.read()) frames.write(*chunk);
    frames.finish();
    const auto exit_code = target_.engine().exit_code(exec, std::chrono::seconds(10));
    if (exit_code != 0) {
      throw Error(ErrorKind::capture,
                  "mc ls failed: " +
                      docker::without_secrets(docker::last_output(frames.stderr_tail()), mc_.env));
    }
  }
  // What is called like a folder is no object of a set.
  void list_objects(const std::function<void(const ObjectEntry&)>& use) {
    list({"ls", "--recursive", "--summarize", "--json", alias_}, ObjectListing::End::totals,
         [&](const ObjectEntry& object) {
           if (!object.is_folder) use(object);
         });
  }

  void must(const std::vector<std::string>& arguments) {
    const docker::ExecResult result = target_.run(with_arguments(mc_, arguments));
    if (result.exit_code == 0) return;
    throw Error(ErrorKind::capture, fmt::format("mc {} {}: {}", arguments.front(), arguments.back(),
                                                docker::failure_output(result, mc_.env)));
  }

  void survey_server() {
    list({"ls", "--json", alias_}, ObjectListing::End::anywhere, [&](const ObjectEntry& bucket) {
      buckets_.insert(bucket.key.substr(0, bucket.key.find('/')));
    });
    list_objects([&](const ObjectEntry& object) { before_.add(object); });
    before_.close();
  }

  void survey_artifact() {
    const Json none = Json::object();
    const Json* recorded = member(target_.record().found, "other_etags_by_key");
    const Json& other_etags = recorded == nullptr ? none : *recorded;
    ObjectWalk walk(
        [&](const std::string& bucket) {
          if (!buckets_.contains(bucket)) new_buckets_.insert(bucket);
        },
        [&](const std::string& key, std::uint64_t size, const std::string& md5) {
          Wanted wanted{tree::digest_of_path(key), etag_digest(md5),
                        etag_digest(single_part_etag(md5)), size};
          const Listed* now = before_.find(wanted.key);
          const auto other = string_member(other_etags, key);
          const bool same = now != nullptr && now->size == size &&
                            (now->etag == wanted.md5 || now->etag == wanted.one_part ||
                             (other && now->etag == etag_digest(*other)));
          wanted.put = !same;
          if (!same) {
            ++(now == nullptr ? missing_ : changed_);
            put_bytes_ += size;
          }
          wanted_.push_back(wanted);
        });
    pipe::TarReader reader(walk, nullptr);
    target_.pass_artifact(reader);
    std::sort(wanted_.begin(), wanted_.end(),
              [](const Wanted& a, const Wanted& b) { return a.key < b.key; });
    for (const Listed& one : before_.all()) extra_ += find(one.key) == nullptr ? 1 : 0;
  }

  const Wanted* find(const tree::EntryDigest& key) const {
    const auto found =
        std::lower_bound(wanted_.begin(), wanted_.end(), key,
                         [](const Wanted& one, const auto& asked) { return one.key < asked; });
    return found == wanted_.end() || found->key != key ? nullptr : &*found;
  }

  bool is_as_before(const ObjectEntry& object) const {
    const Listed now = listed(object);
    const Listed* before = before_.find(now.key);
    return before != nullptr && *before == now;
  }

  // What clients wrote after the safety set was begun may not be in it, and would be lost.
  void require_unchanged() {
    std::string changed;
    std::uint64_t seen = 0;
    list_objects([&](const ObjectEntry& object) {
      const tree::EntryDigest key = tree::digest_of_path(object.key);
      const bool was_there = before_.find(key) != nullptr;
      if (was_there) ++seen;
      if (changed.empty() && (find(key) != nullptr || (exact_ && was_there)) &&
          !is_as_before(object)) {
        changed = object.key;
      }
    });
    if (changed.empty() && seen == before_.all().size()) return;
    throw Error(ErrorKind::capture,
                changed.empty() ? "objects were deleted while the safety set was taken"
                                : changed + " was written while the safety set was taken",
                "stop the clients that write, then try again: what they write now could be lost");
  }

  void put() {
    ObjectFeeder feeder(
        [&](const std::string& key) -> std::unique_ptr<service::OpenFeed> {
          const Wanted* wanted = find(tree::digest_of_path(key));
          if (wanted == nullptr || !wanted->put) return nullptr;
          return target_.open_feed(with_arguments(mc_, {"pipe", at_alias(key)}));
        },
        [&](const std::string& key, const service::FeedResult& result) {
          if (result.exit_code == 0 && result.took_everything) return;
          throw Error(ErrorKind::capture,
                      fmt::format("mc pipe {}: {}", key,
                                  docker::failure_output({result.exit_code, result.out, result.err},
                                                         mc_.env)));
        });
    pipe::TarReader reader(feeder, nullptr);
    target_.pass_artifact(reader);
  }

  // Only what was there before the safety set, and as it was then.
  void remove_extra() {
    std::vector<std::string> batch;
    std::size_t bytes = 0;
    const auto flush = [&] {
      if (batch.empty()) return;
      std::vector<std::string> arguments{"rm"};
      arguments.insert(arguments.end(), batch.begin(), batch.end());
      must(arguments);
      removed_ += batch.size();
      batch.clear();
      bytes = 0;
    };
    list_objects([&](const ObjectEntry& object) {
      if (find(tree::digest_of_path(object.key)) != nullptr || !is_as_before(object)) return;
      batch.push_back(at_alias(object.key));
      bytes += batch.back().size();
      if (batch.size() >= most_removed_at_once || bytes > removed_argv_bytes) flush();
    });
    flush();
  }

  void compare() {
    std::uint64_t seen = 0;
    std::string different;
    std::string left;
    list_objects([&](const ObjectEntry& object) {
      const Listed now = listed(object);
      const Wanted* wanted = find(now.key);
      if (wanted == nullptr) {
        if (exact_ && left.empty() && is_as_before(object)) left = object.key;
        return;
      }
      ++seen;
      const bool by_content = now.etag == wanted->md5 || now.etag == wanted->one_part;
      // One that was put in parts or encrypted has an etag that says nothing of its bytes.
      const bool as_wanted =
          now.size == wanted->size &&
          (by_content ||
           (wanted->put ? !is_md5(object.etag) || is_encrypted(object) : is_as_before(object)));
      if (!by_content && wanted->put) ++by_size_;
      if (!as_wanted && different.empty()) different = object.key;
    });
    const char* hint = "does a client write meanwhile? Stop it, then try again";
    if (!different.empty()) {
      throw Error(ErrorKind::artifact, different + " is not listed as the set has it", hint);
    }
    if (seen != wanted_.size()) {
      throw Error(ErrorKind::artifact,
                  fmt::format("{} of the set are not listed", count_of(wanted_.size() - seen)),
                  hint);
    }
    if (!left.empty()) {
      throw Error(ErrorKind::artifact, left + " is still listed, which the set does not have",
                  hint);
    }
  }

  // SSE-KMS: 32 hexadecimal digits that are not the MD5.
  bool is_encrypted(const ObjectEntry& object) {
    const docker::ExecResult answer =
        target_.run(with_arguments(mc_, {"stat", "--json", at_alias(object.key)}));
    return answer.out.find("aws:kms") != std::string::npos;
  }

  void report() {
    service::PartReport& report = target_.report;
    report.compared["objects"] = wanted_.size();
    report.compared["put"] = missing_ + changed_;
    report.compared["removed"] = removed_;
    report.lines.push_back(fmt::format("{} put, {} removed; the server lists all {} of the set",
                                       count_of(missing_ + changed_), removed_, wanted_.size()));
    if (by_size_ > 0) {
      report.not_proven.push_back(fmt::format(
          "the content of {}: their etags are not MD5s, so only their sizes were compared",
          count_of(by_size_)));
    }
    if (changed_ > 0) {
      report.not_proven.emplace_back(
          "metadata and tags of the objects that were overwritten: no backup has them");
    }
  }

  service::RestoreTarget& target_;
  const std::string& alias_;
  const wire::ExecConfig& mc_;
  bool exact_;
  std::set<std::string> buckets_, new_buckets_;
  ObjectIndex before_;  // what the server listed before the safety set
  std::vector<Wanted> wanted_;
  std::uint64_t missing_ = 0, changed_ = 0, put_bytes_ = 0, extra_ = 0, removed_ = 0, by_size_ = 0;
};

}  // namespace

std::string single_part_etag(const std::string& md5) {
  return md5_of_md5(md5) + "-1";
}

std::unique_ptr<service::InPlace> put_objects(service::RestoreTarget& target,
                                              const service::Capture& present,
                                              const service::InPlaceOptions& options) {
  const auto* part = std::get_if<service::ServicePart>(&present.parts.front().what);
  if (part == nullptr) throw Error(ErrorKind::internal, "a capture of objects without a client");
  return std::make_unique<PutObjects>(target, *part, options.exact);
}

}  // namespace bba::services::minio
