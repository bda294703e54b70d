#include "compare_objects.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "bba/base/text.hpp"
#include "bba/docker/frame_stage.hpp"
#include "bba/docker/secrets.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"
#include "client.hpp"
#include "restore.hpp"

namespace bba::services::minio {

namespace {

constexpr std::string_view top = "objects/";
constexpr const char* alias = "drill";
// A single server serves an empty directory at once; one of several waits for the others, and they
// never come.
constexpr auto server_patience = std::chrono::seconds(60);

// Makes the listing again, from the content. The etag of a plain object is the MD5 of its content;
// `others` has the etags that are not.
class Relisting : public pipe::TarVisitor {
 public:
  explicit Relisting(const Json& others) : others_(others) {}
  bool entry(const pipe::TarEntry& entry) override {
    entry_ = entry;
    return true;
  }
  void data(const Chunk& chunk) override { content_.update(chunk.bytes()); }
  void entry_end() override {
    const std::string md5 = content_.hex();
    const std::string key = entry_.path.substr(std::min(top.size(), entry_.path.size()));
    const std::string bucket = key.substr(0, key.find('/'));
    if (entry_.type != pipe::TarType::file) {
      if (!bucket.empty()) buckets_.emplace(bucket, false);
      return;
    }
    buckets_[bucket] = true;
    const std::string etag = string_member(others_, key).value_or(md5);
    listing_.update(as_bytes(fmt::format("{} {} {}\n", etag, entry_.size, key)));
    sizes_.update(as_bytes(fmt::format("{} {}\n", entry_.size, key)));
  }
  // Of etags, sizes and keys; of sizes and keys.
  std::string listing() { return listing_.hex(); }
  std::string sizes() { return sizes_.hex(); }
  // Whether they hold something.
  const std::map<std::string, bool>& buckets() const { return buckets_; }

 private:
  const Json& others_;
  pipe::TarEntry entry_;
  pipe::Hasher content_{pipe::DigestKind::md5};
  pipe::Hasher listing_, sizes_;
  std::map<std::string, bool> buckets_;
};

class ObjectServer {
 public:
  explicit ObjectServer(service::RestoreTarget& target) : target_(target) {}

  // Why no server was started; empty where it serves.
  std::string start() {
    std::string no_client;
    try {
      target_.start(
          [&] {
            if (client_.argv.empty()) client_ = lent_client();
            no_client = why_no_client();
            return !no_client.empty() || run({"ls", alias}).exit_code == 0;
          },
          server_patience);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::capture) throw;
      return error.what();
    }
    return no_client;
  }

  void take(const std::string& directory, const std::map<std::string, bool>& buckets) {
    for (const auto& [bucket, has_objects] : buckets) {
      target_.note("uploading bucket " + bucket);
      const std::string place = fmt::format("{}/{}", alias, bucket);
      must({"mb", place});
      if (has_objects) {
        must({"cp", "--recursive", fmt::format("{}/{}/", directory, bucket), place + "/"});
      }
    }
  }

  // Sizes and keys, as Relisting has them.
  std::string sizes() {
    pipe::Hasher hasher;
    ListingStage listing(ObjectListing::End::totals, [&](const ObjectEntry& object) {
      if (object.is_folder) return;
      hasher.update(as_bytes(fmt::format("{} {}\n", object.size, object.key)));
    });
    docker::FrameStage frames(listing);
    const std::string exec = target_.engine().create_exec(
        target_.id(),
        with_arguments(client_, {"ls", "--recursive", "--summarize", "--json", alias}));
    docker::Body body = target_.engine().start_exec(exec);
    while (const std::optional<Chunk> chunk = body.read()) frames.write(*chunk);
    frames.finish();
    return hasher.hex();
  }

 private:
  wire::ExecConfig lent_client() const {
    service::Target scratch;
    scratch.container = target_.container();
    return client(scratch, alias, {}, target_.secret(user_variables()).value_or("minioadmin"),
                  target_.secret(password_variables()).value_or("minioadmin"));
  }

  // Where mc does not know the alias it would take it for a directory, and put everything there.
  std::string why_no_client() {
    const docker::ExecResult known = run({"alias", "list", "--json", alias});
    if (docker::not_started(known)) return "its image has no mc";
    const auto unknown = alias_unknown_because(known.out, alias);
    if (!unknown) return {};
    return "its mc does not know the alias that it was given: " +
           docker::without_secrets(*unknown, client_.env);
  }

  docker::ExecResult run(const std::vector<std::string>& words) const {
    return target_.run(with_arguments(client_, words));
  }

  void must(const std::vector<std::string>& words) const {
    const docker::ExecResult result = run(words);
    if (result.exit_code == 0) return;
    throw Error(ErrorKind::capture,
                fmt::format("the scratch server did not take its objects: mc {}: {}", words.front(),
                            docker::failure_output(result, client_.env)));
  }

  service::RestoreTarget& target_;
  wire::ExecConfig client_;
};

// Compares the content with the listing that was taken.
void compare_listing(const store::ArtifactRecord& record, const Json& others, Relisting& relisting,
                     service::PartReport& report) {
  const std::uint64_t objects = size_member(record.found, "objects").value_or(0);
  const auto listing = string_member(record.found, "listing_sha256");
  const std::uint64_t without_md5 = size_member(record.found, "other_etags").value_or(0);
  report.compared["objects"] = objects;
  if (!listing || without_md5 != others.size()) {
    report.not_proven.push_back(
        "that their content is what the server listed: the manifest does not have the etags of all "
        "objects");
    return;
  }
  if (without_md5 > 0) {
    report.not_proven.push_back(fmt::format(
        "that the content of {} objects is what the server listed: their etags are not MD5s",
        without_md5));
  }
  if (relisting.listing() != *listing) {
    throw Error(
        ErrorKind::artifact,
        "its objects are not those that the server listed: an etag, a size or a key differs");
  }
  const std::uint64_t etags = objects - std::min(objects, without_md5);
  report.compared["etags"] = etags;
  report.lines.push_back(fmt::format("the etags of {} objects are those of the listing", etags));
}

}  // namespace

void compare_objects(service::RestoreTarget& target) {
  const store::ArtifactRecord& record = target.record();
  const Json none = Json::object();
  const Json* recorded = member(record.found, "other_etags_by_key");
  const Json& others = recorded == nullptr ? none : *recorded;
  Relisting relisting(others);
  target.read_artifact(
      [&](pipe::Stage& next) { return std::make_unique<pipe::TarReader>(relisting, &next); });
  compare_listing(record, others, relisting, target.report);
  ObjectServer server(target);
  if (const std::string why = server.start(); !why.empty()) {
    target.report.not_proven.push_back("that a server takes them: " + why);
    return;
  }
  const std::size_t buckets = relisting.buckets().size();
  server.take(restored_objects, relisting.buckets());
  if (server.sizes() != relisting.sizes()) {
    throw Error(ErrorKind::artifact,
                "a fresh server that took the objects does not list the same keys and sizes");
  }
  target.report.compared["buckets"] = buckets;
  target.report.lines.push_back(
      fmt::format("a fresh server took them, in {} buckets, and lists the same", buckets));
}

}  // namespace bba::services::minio
