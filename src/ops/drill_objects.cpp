// Class D: the objects come back as files, and their content is what the server's listing promised.
#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/ops/drill_part.hpp"
#include "bba/ops/drill_source.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::ops {

namespace {

// The lines of the listing again, from the content: an etag of a plain object is its MD5.
class Relisting : public pipe::TarVisitor {
 public:
  bool entry(const pipe::TarEntry& entry) override {
    entry_ = entry;
    return true;
  }
  void data(const Chunk& chunk) override { content_.update(chunk.bytes()); }
  void entry_end() override {
    if (entry_.type != pipe::TarType::file) return;
    constexpr std::string_view top = "objects/";
    const std::string line =
        fmt::format("{} {} {}\n", content_.hex(), entry_.size,
                    entry_.path.substr(std::min(top.size(), entry_.path.size())));
    listing_.update(as_bytes(line));
  }
  std::string sha256() { return listing_.hex(); }

 private:
  pipe::TarEntry entry_;
  pipe::Hasher content_{pipe::DigestKind::md5};
  pipe::Hasher listing_;
};

}  // namespace

PartReport drill_objects(const DrillContext& context, const store::ArtifactRecord& record) {
  PartReport report = drill_archive(context, record);
  const std::uint64_t objects = size_member(record.found, "objects").value_or(0);
  const auto listing = string_member(record.found, "listing_sha256");
  const auto other = size_member(record.found, "other_etags");
  report.compared["objects"] = objects;
  report.not_proven.push_back("that a server takes them: no MinIO was started on them");
  if (!listing || !other || *other > 0) {
    report.not_proven.push_back(fmt::format(
        "that the content of {} objects is what the server listed: their etags are no MD5",
        other.value_or(objects)));
    return report;
  }
  Relisting relisting;
  ArtifactSource(context.directory, record, [&](pipe::Stage& next) {
    return std::make_unique<pipe::TarReader>(relisting, &next);
  }).drain();
  if (relisting.sha256() != *listing) {
    throw Error(
        ErrorKind::artifact,
        "its objects are not those that the server listed: an etag, a size or a key differs");
  }
  report.compared["etags"] = objects;
  report.lines.push_back(fmt::format("the etags of {} objects are those of the listing", objects));
  return report;
}

}  // namespace bba::ops
