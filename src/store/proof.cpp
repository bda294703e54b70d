#include "bba/store/proof.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/store/trusted_directory.hpp"
#include "json_fields.hpp"

namespace bba::store {

namespace {

constexpr std::uint64_t proof_schema = 2;
constexpr std::size_t most_proof_bytes = 1 << 20;
constexpr std::size_t most_sets_before = 5;

// An older one does not say whether the set is a fallback: nobody may take that for a no.
void require_schema(std::uint64_t schema) {
  if (schema < proof_schema) {
    throw Error(
        ErrorKind::artifact,
        fmt::format("was written by an older version of backup-before-apply (schema {}; this "
                    "version reads {})",
                    schema, proof_schema));
  }
  if (schema != proof_schema) {
    throw Error(
        ErrorKind::artifact,
        fmt::format("was written by another version of backup-before-apply (schema {}; this "
                    "version reads {})",
                    schema, proof_schema),
        "install the same version on both sides");
  }
}

Proof read_fields(const Fields& fields) {
  Proof proof;
  proof.module = fields.text("module");
  proof.module_class = fields.text("class");
  proof.strategy = fields.text("strategy");
  proof.fallback = fields.text_or_null("fallback");
  proof.changed_while_read = fields.size("changed_while_read");
  proof.incomplete = fields.texts("incomplete");
  proof.manifest = fields.text("manifest");
  proof.manifest_sha256 = fields.text("manifest_sha256");
  proof.artifacts = fields.texts("artifacts");
  proof.bytes = fields.size("bytes");
  proof.content_bytes = fields.size("content_bytes");
  proof.content_bytes_before = fields.sizes("content_bytes_before");
  proof.started = fields.time("started");
  proof.finished = fields.time("finished");
  proof.proven = fields.time("proven");
  const auto level = proof_level_by_name(fields.text("level"));
  if (!level) throw bad_field(fields.field("level"), "must be verified or drilled");
  proof.level = *level;
  proof.host = fields.text("host");
  proof.container_id = fields.text("container_id");
  proof.image = fields.text("image");
  proof.image_id = fields.text("image_id");
  proof.image_digest = fields.text("image_digest");
  return proof;
}

std::string proof_file(const std::string& directory, const std::string& module) {
  require_module_id(module);
  return directory + '/' + module + ".json";
}

// The text of a proof that nobody but `owner` can have written; nullopt where there is none.
std::optional<std::string> read_trusted(const std::string& directory, const std::string& module,
                                        uid_t owner) {
  const std::string path = proof_file(directory, module);
  const Fd opened = open_trusted(directory, owner, ErrorKind::gate);
  if (!opened) return std::nullopt;
  const Fd file(::openat(opened.get(), (module + ".json").c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file && errno == ELOOP)
    throw Error(ErrorKind::gate, path + " is a symlink: it proves nothing");
  if (!file) throw system_error(ErrorKind::storage, path, errno);
  require_trusted(file.get(), path, owner, ErrorKind::gate);
  return read_rest(file.get(), most_proof_bytes, ErrorKind::artifact, path);
}

// The digest ties a receipt to the manifest as it was drilled: one that was edited since has none.
bool has_receipt(const BackupSet& set) {
  return set.receipt && string_member(*set.receipt, "manifest_sha256") == manifest_sha256(set);
}

}  // namespace

std::string path_in(const OwnedDirectory& directory, const std::string& file) {
  return std::filesystem::absolute(directory.path() + '/' + file).lexically_normal();
}

std::string_view name(ProofLevel level) {
  return level == ProofLevel::drilled ? "drilled" : "verified";
}

std::optional<ProofLevel> proof_level_by_name(std::string_view name) {
  if (name == "verified") return ProofLevel::verified;
  if (name == "drilled") return ProofLevel::drilled;
  return std::nullopt;
}

std::string manifest_sha256(const BackupSet& set) {
  pipe::Hasher hasher;
  hasher.update(as_bytes(set.manifest_text));
  return hasher.hex();
}

bool is_drilled(const BackupSet& set) {
  return has_receipt(set) && bool_member(*set.receipt, "passed") == true;
}

std::optional<std::string> failed_drill(const BackupSet& set) {
  if (!has_receipt(set) || bool_member(*set.receipt, "passed") != false) return std::nullopt;
  return string_member(*set.receipt, "error").value_or("its receipt does not say why");
}

ProofLevel proof_level(const BackupSet& set) {
  return is_drilled(set) ? ProofLevel::drilled : ProofLevel::verified;
}

std::uint64_t content_bytes(const Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const auto& artifact : manifest.artifacts) sum += artifact.uncompressed_bytes;
  return sum;
}

std::uint64_t changed_while_read(const Manifest& manifest) {
  std::uint64_t sum = 0;
  for (const auto& artifact : manifest.artifacts) {
    sum += size_member(artifact.found, "changed_while_read").value_or(0);
  }
  return sum;
}

std::vector<std::uint64_t> sizes_before(const std::vector<BackupSet>& sets, std::size_t index) {
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = index + 1; i < sets.size() && sizes.size() < most_sets_before; ++i) {
    // A snapshot and an archive of the same server's files differ in size, and nothing is lost.
    if (sets[i].manifest.strategy != sets[index].manifest.strategy) continue;
    if (is_safety_set(sets[i].manifest)) continue;
    if (sets[i].missing.empty()) sizes.push_back(content_bytes(sets[i].manifest));
  }
  return sizes;
}

Json to_json(const Proof& proof) {
  return {{"schema", proof_schema},
          {"module", proof.module},
          {"class", proof.module_class},
          {"strategy", proof.strategy},
          {"fallback", proof.fallback ? Json(*proof.fallback) : Json()},
          {"changed_while_read", proof.changed_while_read},
          {"incomplete", proof.incomplete},
          {"manifest", proof.manifest},
          {"manifest_sha256", proof.manifest_sha256},
          {"artifacts", proof.artifacts},
          {"bytes", proof.bytes},
          {"content_bytes", proof.content_bytes},
          {"content_bytes_before", proof.content_bytes_before},
          {"started", format_rfc3339(proof.started)},
          {"finished", format_rfc3339(proof.finished)},
          {"proven", format_rfc3339(proof.proven)},
          {"level", name(proof.level)},
          {"host", proof.host},
          {"container_id", proof.container_id},
          {"image", proof.image},
          {"image_id", proof.image_id},
          {"image_digest", proof.image_digest}};
}

Proof proof_from_json(std::string_view text) {
  const auto as_proof = [](auto read) { return with_context("no proof", read); };
  const Json json = as_proof([&] { return parse_object(text); });
  const Fields fields(json);
  require_schema(as_proof([&] { return fields.size("schema"); }));
  return as_proof([&] { return read_fields(fields); });
}

Proof proof_of(const OwnedDirectory& directory, const std::vector<BackupSet>& sets,
               std::size_t index, Timestamp proven) {
  const BackupSet& set = sets[index];
  const Manifest& manifest = set.manifest;
  Proof proof;
  proof.module = manifest.module;
  proof.module_class = manifest.module_class;
  proof.strategy = manifest.strategy;
  proof.fallback = manifest.fallback;
  proof.changed_while_read = changed_while_read(manifest);
  proof.incomplete = manifest.incomplete;
  proof.manifest = path_in(directory, set.manifest_file);
  proof.manifest_sha256 = manifest_sha256(set);
  for (const ArtifactRecord& artifact : manifest.artifacts) {
    proof.artifacts.push_back(path_in(directory, artifact.file));
    proof.bytes += artifact.bytes;
  }
  proof.content_bytes = content_bytes(manifest);
  proof.content_bytes_before = sizes_before(sets, index);
  proof.started = manifest.started;
  proof.finished = manifest.finished;
  proof.proven = proven;
  proof.level = proof_level(set);
  proof.host = manifest.host;
  proof.container_id = manifest.container.id;
  proof.image = manifest.container.image;
  proof.image_id = manifest.container.image_id;
  proof.image_digest = manifest.container.image_digest;
  return proof;
}

void write_proof(const std::string& directory, const Proof& proof) {
  const std::string file = proof_file(directory, proof.module);
  const Fd opened = make_trusted(directory);
  replace_file(opened.get(), file, pretty_json(to_json(proof)), 0644);
}

std::optional<Proof> read_proof(const std::string& directory, const std::string& module,
                                uid_t owner) {
  const auto text = read_trusted(directory, module, owner);
  if (!text) return std::nullopt;
  try {
    Proof proof = proof_from_json(*text);
    if (proof.module != module) {
      throw Error(ErrorKind::artifact, fmt::format("it is of module {}", proof.module));
    }
    return proof;
  } catch (Error& error) {
    error.in(proof_file(directory, module));
    throw;
  }
}

bool remove_proof(const std::string& directory, const std::string& module,
                  const std::string& manifest_file) {
  const auto text = read_trusted(directory, module, ::geteuid());
  if (!text) return false;
  // Of any version: its other fields do not matter.
  const std::string named = with_context("no proof", [&] {
    const Json proof = parse_object(*text);
    return Fields(proof).text("manifest");
  });
  if (!named.ends_with('/' + manifest_file)) return false;
  const Fd opened = open_trusted(directory, ::geteuid(), ErrorKind::storage);
  const std::string file = module + ".json";
  if (opened && ::unlinkat(opened.get(), file.c_str(), 0) != 0 && errno != ENOENT) {
    throw system_error(ErrorKind::storage, fmt::format("removing {}/{}", directory, file), errno);
  }
  return true;
}

}  // namespace bba::store
