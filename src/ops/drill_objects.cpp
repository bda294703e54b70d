// Class D: the objects come back as files, and their content is what the server's listing promised.
#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/ops/drill_part.hpp"
#include "bba/ops/drill_source.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

// The lines of the listing again. The etag of a plain object is the MD5 of its content; `others`
// has those that are none.
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
    if (entry_.type != pipe::TarType::file) return;
    constexpr std::string_view top = "objects/";
    const std::string key = entry_.path.substr(std::min(top.size(), entry_.path.size()));
    const std::string etag = string_member(others_, key).value_or(md5);
    listing_.update(as_bytes(fmt::format("{} {} {}\n", etag, entry_.size, key)));
  }
  std::string sha256() { return listing_.hex(); }

 private:
  const Json& others_;
  pipe::TarEntry entry_;
  pipe::Hasher content_{pipe::DigestKind::md5};
  pipe::Hasher listing_;
};

}  // namespace

PartReport drill_objects(const DrillContext& context, const store::ArtifactRecord& record) {
  PartReport report = drill_archive(context, record);
  const std::uint64_t objects = size_member(record.found, "objects").value_or(0);
  const auto listing = string_member(record.found, "listing_sha256");
  const std::uint64_t without_md5 = size_member(record.found, "other_etags").value_or(0);
  const Json none = Json::object();
  const Json* named = member(record.found, "other_etags_by_key");
  const Json& others = named == nullptr ? none : *named;
  report.compared["objects"] = objects;
  report.not_proven.push_back("that a server takes them: no MinIO was started on them");
  if (!listing || without_md5 != others.size()) {
    report.not_proven.push_back(
        "that their content is what the server listed: the manifest does not "
        "have the etags of all objects");
    return report;
  }
  if (without_md5 > 0) {
    report.not_proven.push_back(fmt::format(
        "that the content of {} objects is what the server listed: their etags are no MD5",
        without_md5));
  }
  Relisting relisting(others);
  ArtifactSource(context.directory, record, [&](pipe::Stage& next) {
    return std::make_unique<pipe::TarReader>(relisting, &next);
  }).drain();
  if (relisting.sha256() != *listing) {
    throw Error(
        ErrorKind::artifact,
        "its objects are not those that the server listed: an etag, a size or a key differs");
  }
  const std::uint64_t etags = objects - std::min(objects, without_md5);
  report.compared["etags"] = etags;
  report.lines.push_back(fmt::format("the etags of {} objects are those of the listing", etags));
  return report;
}

}  // namespace bba::ops
