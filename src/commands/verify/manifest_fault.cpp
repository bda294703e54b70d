// Checks a manifest: what it says of itself, of its artifacts and of the other parts of its set.
#include "manifest_fault.hpp"

#include <algorithm>
#include <set>

#include "bba/base/text.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/manifest_checksum.hpp"

namespace bba::commands {

namespace {

std::string member_fault(const store::OwnedDirectory& directory, const store::BackupSet& set,
                         const std::string& file) {
  const auto parsed = store::parse_name(file);
  if (!parsed || !parsed->is_manifest() || parsed->time != set.manifest.started ||
      file == set.manifest_file) {
    return fmt::format("it names {} as a part of the same set, which is impossible", file);
  }
  if (!directory.contains(file)) {
    return fmt::format("{} is missing: both are one set, all or nothing", file);
  }
  constexpr std::size_t most_bytes = 16 << 20;
  const store::Manifest other = store::manifest_from_json(
      read_rest(directory.open_file(file).get(), most_bytes, ErrorKind::artifact, file));
  const auto& members = other.members;
  if (std::find(members.begin(), members.end(), set.manifest_file) == members.end()) {
    return fmt::format("it names {} as a part of the same set, and that one does not name it",
                       file);
  }
  return {};
}

}  // namespace

std::string manifest_fault(const store::OwnedDirectory& directory, const store::BackupSet& set) {
  if (std::string fault = store::checksum_error(set.manifest_text); !fault.empty()) return fault;
  const store::Manifest& manifest = set.manifest;
  const auto parsed = store::parse_name(set.manifest_file);
  if (!parsed || parsed->time != manifest.started || parsed->module != manifest.module) {
    return fmt::format("it says that it began at {}, and its name says otherwise",
                       format_rfc3339(manifest.started));
  }
  if (manifest.finished < manifest.started) return "it ended before it began";
  if (services::service_by_letter(manifest.module_class.front()) == nullptr) {
    return fmt::format("this version knows no class {}", manifest.module_class);
  }
  std::set<std::string> files;
  for (const store::ArtifactRecord& record : manifest.artifacts) {
    if (!files.insert(record.file).second) return fmt::format("it names {} twice", record.file);
  }
  for (const std::string& file : manifest.members) {
    std::string fault;
    with_context(file, [&] { fault = member_fault(directory, set, file); });
    if (!fault.empty()) return fault;
  }
  return {};
}

std::string record_fault(const store::Manifest& manifest, const store::ArtifactRecord& record) {
  const service::ArtifactKind* kind = services::kind_by_name(record.kind);
  if (kind == nullptr) {
    return fmt::format("this version knows no kind of artifact called \"{}\"", record.kind);
  }
  if (!kind->compressible() && record.compression != "none") {
    return fmt::format("a {} is stored uncompressed, and the manifest says {}", record.kind,
                       record.compression);
  }
  const auto compression = pipe::compression_by_name(record.compression);
  const std::string suffix =
      std::string(kind->suffix()) +
      std::string(compression ? pipe::file_suffix(*compression) : std::string_view());
  const std::string rest = record.part.empty() ? suffix : record.part + '.' + suffix;
  const auto parsed = store::parse_name(record.file);
  if (!parsed || parsed->module != manifest.module || parsed->time != manifest.started ||
      parsed->rest != rest) {
    return fmt::format("the {} artifact of module {} from {} would be called {}-{}.{}", record.kind,
                       manifest.module, format_rfc3339(manifest.started), manifest.module,
                       format_compact(manifest.started), rest);
  }
  for (const std::string& key : kind->required_found()) {
    if (member(record.found, key) == nullptr) {
      return fmt::format("the manifest does not say its {}", key);
    }
  }
  for (const std::string& key : kind->foreign_found()) {
    if (member(record.found, key) != nullptr) {
      return fmt::format("the manifest calls it {}, and records {} for it", record.kind, key);
    }
  }
  return {};
}

}  // namespace bba::commands
