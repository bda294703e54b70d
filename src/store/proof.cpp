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
#include "trusted_directory.hpp"

namespace bba::store {

namespace {

constexpr std::uint64_t proof_schema = 2;
constexpr std::size_t most_proof_bytes = 1 << 20;
constexpr std::size_t most_sets_before = 5;

// ---- the JSON

Error lacks(std::string_view key) {
  return Error(ErrorKind::artifact,
               fmt::format("no proof: its field \"{}\" is missing or of another type", key));
}

std::string text_of(const Json& json, std::string_view key) {
  if (auto value = string_member(json, key)) return *value;
  throw lacks(key);
}

std::optional<std::string> text_or_null(const Json& json, std::string_view key) {
  // member() takes null for missing, and here the one says something, and the other does not.
  const auto value = json.find(key);
  if (value != json.end() && value->is_null()) return std::nullopt;
  return text_of(json, key);
}

std::uint64_t size_of(const Json& json, std::string_view key) {
  if (const auto value = size_member(json, key)) return *value;
  throw lacks(key);
}

Timestamp time_of(const Json& json, std::string_view key) {
  if (const auto time = parse_rfc3339(text_of(json, key))) return *time;
  throw lacks(key);
}

template <class Value>
std::vector<Value> list_of(const Json& json, std::string_view key) {
  const Json* list = member(json, key);
  if (list == nullptr || !list->is_array()) throw lacks(key);
  std::vector<Value> values;
  for (const Json& one : *list) {
    if constexpr (std::is_same_v<Value, std::string>) {
      if (!one.is_string()) throw lacks(key);
    } else {
      if (!one.is_number_unsigned()) throw lacks(key);
    }
    values.push_back(one.get<Value>());
  }
  return values;
}

// ---- the directory

std::string proof_file(const std::string& directory, const std::string& module) {
  if (!valid_module_id(module)) {
    throw Error(ErrorKind::config, fmt::format("'{}' is not a module id", module));
  }
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
  const auto json = parse_json(text);
  if (!json || !json->is_object()) throw Error(ErrorKind::artifact, "no proof: not a JSON object");
  const std::uint64_t schema = size_of(*json, "schema");
  // An older one does not say whether the set is a fallback: nobody may take that for a no.
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
  Proof proof;
  proof.module = text_of(*json, "module");
  proof.module_class = text_of(*json, "class");
  proof.strategy = text_of(*json, "strategy");
  proof.fallback = text_or_null(*json, "fallback");
  proof.changed_while_read = size_of(*json, "changed_while_read");
  proof.incomplete = list_of<std::string>(*json, "incomplete");
  proof.manifest = text_of(*json, "manifest");
  proof.manifest_sha256 = text_of(*json, "manifest_sha256");
  proof.artifacts = list_of<std::string>(*json, "artifacts");
  proof.bytes = size_of(*json, "bytes");
  proof.content_bytes = size_of(*json, "content_bytes");
  proof.content_bytes_before = list_of<std::uint64_t>(*json, "content_bytes_before");
  proof.started = time_of(*json, "started");
  proof.finished = time_of(*json, "finished");
  proof.proven = time_of(*json, "proven");
  const auto level = proof_level_by_name(text_of(*json, "level"));
  if (!level) throw lacks("level");
  proof.level = *level;
  proof.host = text_of(*json, "host");
  proof.container_id = text_of(*json, "container_id");
  proof.image = text_of(*json, "image");
  proof.image_id = text_of(*json, "image_id");
  proof.image_digest = text_of(*json, "image_digest");
  return proof;
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
  const auto proof = parse_json(*text);
  if (!proof || !proof->is_object()) throw Error(ErrorKind::artifact, "not a proof");
  if (!text_of(*proof, "manifest").ends_with('/' + manifest_file)) return false;
  const Fd opened = open_trusted(directory, ::geteuid(), ErrorKind::storage);
  const std::string file = module + ".json";
  if (opened && ::unlinkat(opened.get(), file.c_str(), 0) != 0 && errno != ENOENT) {
    throw system_error(ErrorKind::storage, fmt::format("removing {}/{}", directory, file), errno);
  }
  return true;
}

}  // namespace bba::store
