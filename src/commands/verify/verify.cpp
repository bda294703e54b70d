#include "bba/commands/verify/verify.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/module_id.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/pump.hpp"
#include "bba/pipe/stages.hpp"
#include "bba/services/registry.hpp"
#include "bba/store/manifest_checksum.hpp"
#include "bba/store/proof.hpp"
#include "commands/publish_proof.hpp"

namespace bba::commands {

namespace {

// ---- what the manifest says

// What is wrong with one artifact's record, before the artifact is looked at.
std::string record_fault(const store::Manifest& manifest, const store::ArtifactRecord& record) {
  const service::ArtifactKind* kind = services::kind_by_name(record.kind);
  if (kind == nullptr) {
    return fmt::format("this version knows no kind of artifact called \"{}\"", record.kind);
  }
  if (!kind->compressible() && record.compression != "none") {
    return fmt::format("a {} is stored as it is, and the manifest says {}", record.kind,
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
      return fmt::format("the manifest calls it {}, and found {} in it", record.kind, key);
    }
  }
  return {};
}

std::string member_fault(const store::OwnedDirectory& directory, const store::BackupSet& set,
                         const std::string& file) {
  const auto parsed = store::parse_name(file);
  if (!parsed || parsed->rest != "manifest.json" || parsed->time != set.manifest.started ||
      file == set.manifest_file) {
    return fmt::format("it names {} as a part of the same set, which cannot be", file);
  }
  if (!directory.contains(file)) {
    return fmt::format("{} is missing: both are one set, all or nothing", file);
  }
  constexpr std::size_t most_bytes = 16 << 20;
  const store::Manifest other = store::manifest_from_json(
      read_rest(directory.open_file(file).get(), most_bytes, ErrorKind::artifact, file));
  const auto& members = other.members;
  if (std::find(members.begin(), members.end(), set.manifest_file) == members.end()) {
    return fmt::format("it names {} as a part of the same set, and that one knows nothing of it",
                       file);
  }
  return {};
}

// What is wrong with the manifest as a whole.
std::string manifest_fault(const store::OwnedDirectory& directory, const store::BackupSet& set) {
  if (std::string fault = store::checksum_error(set.manifest_text); !fault.empty()) return fault;
  const store::Manifest& manifest = set.manifest;
  const auto parsed = store::parse_name(set.manifest_file);
  if (!parsed || parsed->time != manifest.started || parsed->module != manifest.module) {
    return fmt::format("it says that it began at {}, and is named otherwise",
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

// ---- one artifact

// Yields the file in chunks and digests them, all on the thread that reads.
class FileReader {
 public:
  explicit FileReader(Fd file) : file_(std::move(file)) {
    // Only advice: what it cannot do it need not.
    ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  std::optional<Chunk> read() {
    constexpr std::size_t size = 256 << 10;
    auto memory = std::make_shared_for_overwrite<std::byte[]>(size);
    ssize_t length = 0;
    do {
      length = ::read(file_.get(), memory.get(), size);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
      throw system_error(ErrorKind::artifact, fmt::format("cannot be read at byte {}", bytes_),
                         errno);
    }
    if (length == 0) return std::nullopt;
    Chunk chunk(std::move(memory), static_cast<std::size_t>(length));
    hasher_.update(chunk.bytes());
    bytes_ += chunk.size();
    return chunk;
  }

  std::uint64_t size() const {
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) {
      throw system_error(ErrorKind::artifact, "its size is not known", errno);
    }
    return static_cast<std::uint64_t>(status.st_size);
  }
  std::uint64_t bytes() const { return bytes_; }
  std::string sha256() { return hasher_.hex(); }

 private:
  Fd file_;
  pipe::Hasher hasher_;
  std::uint64_t bytes_ = 0;
};

void require(bool good, const std::string& fault) {
  if (!good) throw Error(ErrorKind::artifact, fault);
}

void compare_size(std::uint64_t size, std::uint64_t said) {
  require(size >= said, fmt::format("cut at byte {}: the manifest says {} bytes", size, said));
  require(size == said,
          fmt::format("trailing data after the end, from byte {}: it has {} bytes", said, size));
}

// Reads it once: the digest on this thread, decompression and check on another. Returns what it
// holds. Throws Error{artifact} at the first thing that is wrong.
std::string read_artifact(run::Session& session, const store::OwnedDirectory& directory,
                          const store::Manifest& manifest, const store::ArtifactRecord& record) {
  const std::string fault = record_fault(manifest, record);
  require(fault.empty(), fault);
  require(directory.contains(record.file), "missing: the manifest names it, and it is not there");
  FileReader file(directory.open_file(record.file));
  compare_size(file.size(), record.bytes);

  const auto content = services::require_kind(record.kind).content_check(record.found);
  pipe::CountStage count(content->stage());
  const auto decompressor =
      pipe::make_decompressor(*pipe::compression_by_name(record.compression), count);
  Progress progress{"reading " + record.file, 0, record.bytes};
  pipe::pump(
      [&] {
        session.stop.throw_if_requested();
        return file.read();
      },
      *decompressor,
      [&](std::size_t bytes) {
        progress.bytes += bytes;
        session.reporter.progress(progress);
      });
  decompressor->finish();

  const std::string sha256 = file.sha256();
  require(sha256 == record.sha256,
          fmt::format("its sha256 is {}, and the manifest says {}: its format is whole through all "
                      "of its {} bytes, so it is another file or a byte that the format ignores",
                      sha256, record.sha256, file.bytes()));
  require(count.bytes() == record.uncompressed_bytes,
          fmt::format("{} bytes when decompressed, and the manifest says {}", count.bytes(),
                      record.uncompressed_bytes));
  const Json found = content->found();
  for (const auto& [key, value] : found.items()) {
    const Json* said = member(record.found, key);
    if (said == nullptr || *said == value) continue;
    const std::string difference = content->difference(key, *said, value);
    throw Error(ErrorKind::artifact, difference);
  }
  return fmt::format("{}: {}", record.kind, content->summary());
}

ArtifactVerdict verify_artifact(run::Session& session, const store::OwnedDirectory& directory,
                                const store::Manifest& manifest,
                                const store::ArtifactRecord& record) {
  ArtifactVerdict verdict;
  verdict.file = record.file;
  verdict.kind = record.kind;
  verdict.bytes = record.bytes;
  try {
    verdict.holds = read_artifact(session, directory, manifest, record);
  } catch (const Error& error) {
    session.reporter.progress_end();
    if (error.kind() != ErrorKind::artifact) throw;
    verdict.broken = error.what();
  }
  session.reporter.progress_end();
  return verdict;
}

// ---- references

SetVerdict head_of(const store::BackupSet& set) {
  SetVerdict verdict;
  verdict.module = set.manifest.module;
  verdict.module_class = set.manifest.module_class;
  verdict.strategy = set.manifest.strategy;
  verdict.fallback = set.manifest.fallback;
  verdict.changed_while_read = store::changed_while_read(set.manifest);
  verdict.incomplete = set.manifest.incomplete;
  verdict.started = set.manifest.started;
  verdict.manifest_file = set.manifest_file;
  verdict.manifest_sha256 = store::manifest_sha256(set);
  return verdict;
}

SetVerdict unreadable(const store::ParsedName& name, const std::string& file,
                      const std::string& why) {
  SetVerdict verdict;
  verdict.module = name.module;
  verdict.started = name.time;
  verdict.manifest_file = file;
  verdict.broken = why;
  return verdict;
}

void publish_or_withdraw(run::Session& session, const store::OwnedDirectory& directory,
                         const SetVerdict& verdict) {
  if (verdict.good()) {
    publish_proof(session, directory, verdict.manifest_file);
  } else {
    withdraw_proof(session, directory, verdict.manifest_file);
  }
}

const store::Orphan* orphan_called(const store::Catalogue& catalogue, const std::string& file) {
  const auto found = std::find_if(catalogue.orphans.begin(), catalogue.orphans.end(),
                                  [&](const store::Orphan& one) { return one.file == file; });
  return found == catalogue.orphans.end() ? nullptr : &*found;
}

Verification verify_file(run::Session& session, const FileReference& reference) {
  const auto name = store::parse_name(reference.file);
  if (!name || name->rest == "drill.json") {
    throw Error(ErrorKind::usage,
                fmt::format("{} is not called like an artifact or a manifest", reference.file),
                "give the path of <module>-<time>.<suffix> or <module>-<time>.manifest.json, or a "
                "module id");
  }
  const auto directory = store::OwnedDirectory::open_copy(reference.directory);
  const store::Catalogue catalogue = store::read_catalogue(directory, name->module);
  const std::string manifest_file = store::manifest_name(name->module, name->time);
  const auto set =
      std::find_if(catalogue.sets.begin(), catalogue.sets.end(),
                   [&](const store::BackupSet& one) { return one.manifest_file == manifest_file; });
  Verification verification;
  if (set == catalogue.sets.end()) {
    const store::Orphan* manifest = orphan_called(catalogue, manifest_file);
    if (manifest != nullptr) {
      verification.sets.push_back(unreadable(*name, manifest_file, manifest->why));
      withdraw_proof(session, directory, manifest_file);
      return verification;
    }
    if (orphan_called(catalogue, reference.file) != nullptr)
      throw no_manifest(*name, reference.file);
    throw Error(ErrorKind::storage,
                fmt::format("{}/{}: there is no such file", reference.directory, reference.file));
  }
  const auto& artifacts = set->manifest.artifacts;
  const auto record =
      std::find_if(artifacts.begin(), artifacts.end(),
                   [&](const store::ArtifactRecord& one) { return one.file == reference.file; });
  if (!belongs_to(*set, reference.file)) throw no_manifest(*name, reference.file);
  if (reference.file == manifest_file || artifacts.size() == 1) {
    verification.sets.push_back(verify_set(session, directory, *set));
    publish_or_withdraw(session, directory, verification.sets.back());
    return verification;
  }
  SetVerdict verdict = head_of(*set);
  verdict.broken = store::checksum_error(set->manifest_text);
  verdict.artifacts.push_back(verify_artifact(session, directory, set->manifest, *record));
  // One artifact of several proves no set, but a broken one disproves it.
  if (!verdict.good()) withdraw_proof(session, directory, manifest_file);
  verification.sets.push_back(std::move(verdict));
  return verification;
}

Verification verify_module(run::Session& session, const std::string& module) {
  if (!valid_module_id(module)) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is neither a module id nor a file that is there", module));
  }
  const auto directory = store::OwnedDirectory::open_copy(session.settings.backup_dir);
  const store::Catalogue catalogue = store::read_catalogue(directory, module);
  Verification verification;
  for (const store::BackupSet& set : catalogue.sets) {
    verification.sets.push_back(verify_set(session, directory, set));
    publish_or_withdraw(session, directory, verification.sets.back());
  }
  for (const store::Orphan& orphan : catalogue.orphans) {
    const auto name = store::parse_name(orphan.file);
    if (name && name->rest == "manifest.json") {
      verification.sets.push_back(unreadable(*name, orphan.file, orphan.why));
      withdraw_proof(session, directory, orphan.file);
    } else {
      verification.notes.push_back(orphan.file + ": " + orphan.why);
    }
  }
  if (verification.sets.empty()) {
    throw Error(ErrorKind::config,
                fmt::format("there is no backup of module {} in {}", module, directory.path()),
                "take one with: backup-before-apply " + module);
  }
  std::stable_sort(verification.sets.begin(), verification.sets.end(),
                   [](const SetVerdict& a, const SetVerdict& b) { return a.started > b.started; });
  return verification;
}

}  // namespace

bool SetVerdict::good() const {
  return first_broken().empty();
}

std::string SetVerdict::first_broken() const {
  if (!broken.empty()) return manifest_file + ": " + broken;
  for (const ArtifactVerdict& artifact : artifacts) {
    if (!artifact.broken.empty()) return artifact.file + ": " + artifact.broken;
  }
  return {};
}

std::string Verification::first_broken() const {
  for (const SetVerdict& set : sets) {
    if (const std::string broken = set.first_broken(); !broken.empty()) return broken;
  }
  return {};
}

SetVerdict verify_set(run::Session& session, const store::OwnedDirectory& directory,
                      const store::BackupSet& set) {
  SetVerdict verdict = head_of(set);
  try {
    verdict.broken = manifest_fault(directory, set);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::artifact) throw;
    verdict.broken = error.what();
  }
  for (const store::ArtifactRecord& record : set.manifest.artifacts) {
    verdict.artifacts.push_back(verify_artifact(session, directory, set.manifest, record));
  }
  return verdict;
}

bool belongs_to(const store::BackupSet& set, const std::string& file) {
  const auto& artifacts = set.manifest.artifacts;
  return file == set.manifest_file ||
         std::any_of(artifacts.begin(), artifacts.end(),
                     [&](const store::ArtifactRecord& one) { return one.file == file; });
}

Error no_manifest(const store::ParsedName& name, const std::string& file) {
  const std::string manifest = store::manifest_name(name.module, name.time);
  return Error(
      ErrorKind::artifact,
      fmt::format("{}: no manifest names it, and an artifact without one is not a backup", file),
      fmt::format("where it was copied, copy {} as well; else the run that made it was killed, or "
                  "a prune of it",
                  manifest));
}

std::optional<FileReference> file_reference(const run::Session& session,
                                            const std::string& reference) {
  const std::size_t slash = reference.rfind('/');
  if (slash != reference.npos) {
    return FileReference{slash == 0 ? "/" : reference.substr(0, slash),
                         reference.substr(slash + 1)};
  }
  // No module id can look like this: it would hold capitals.
  if (!store::parse_name(reference)) return std::nullopt;
  std::error_code not_here;
  if (std::filesystem::exists(reference, not_here)) return FileReference{".", reference};
  return FileReference{session.settings.backup_dir, reference};
}

Verification verify(run::Session& session, const std::string& reference) {
  const auto file = file_reference(session, reference);
  return file ? verify_file(session, *file) : verify_module(session, reference);
}

std::string advice(const Verification& verification) {
  const auto& sets = verification.sets;
  const auto is_good = [](const SetVerdict& set) { return set.good(); };
  const auto broken = std::find_if_not(sets.begin(), sets.end(), is_good);
  if (broken == sets.end()) return {};
  const std::string do_not = "do not rely on " + broken->manifest_file;
  // The newest of the same module: what to restore instead.
  const auto other = std::find_if(sets.begin(), sets.end(), [&](const SetVerdict& set) {
    return set.good() && set.module == broken->module;
  });
  if (other == sets.end()) {
    return do_not +
           (sets.size() == 1 ? "; `list " + broken->module + "` shows whether there is another"
                             : "; no other that was read is good") +
           ", else take a new backup";
  }
  return fmt::format("{}; {} of {} sets are good, the newest of {} is {}", do_not,
                     std::count_if(sets.begin(), sets.end(), is_good), sets.size(), broken->module,
                     other->manifest_file);
}

std::string verification_text(const Verification& verification) {
  std::size_t width = 0;
  for (const SetVerdict& set : verification.sets) {
    for (const ArtifactVerdict& one : set.artifacts) width = std::max(width, one.file.size());
  }
  std::string text;
  for (const SetVerdict& set : verification.sets) {
    if (!set.broken.empty()) {
      text += fmt::format("BAD  {}: {}\n", set.manifest_file, printable(set.broken));
    }
    for (const ArtifactVerdict& one : set.artifacts) {
      text += one.broken.empty() ? fmt::format("ok   {:<{}}  {:>10}  {}\n", one.file, width,
                                               format_bytes(one.bytes), printable(one.holds))
                                 : fmt::format("BAD  {}: {}\n", one.file, printable(one.broken));
    }
    if (set.broken.empty() && set.artifacts.empty()) {
      text += fmt::format("ok   {}  its parts are the sets of other modules\n", set.manifest_file);
    }
  }
  return text;
}

Json verification_json(const Verification& verification) {
  Json sets = Json::array();
  for (const SetVerdict& set : verification.sets) {
    Json artifacts = Json::array();
    for (const ArtifactVerdict& one : set.artifacts) {
      artifacts.push_back({{"file", one.file},
                           {"kind", one.kind},
                           {"bytes", one.bytes},
                           {"good", one.broken.empty()},
                           {"holds", one.holds},
                           {"broken", one.broken}});
    }
    sets.push_back({{"module", set.module},
                    {"class", set.module_class},
                    {"strategy", set.strategy},
                    {"fallback", set.fallback ? Json(*set.fallback) : Json()},
                    {"changed_while_read", set.changed_while_read},
                    {"incomplete", set.incomplete},
                    {"started", format_rfc3339(set.started)},
                    {"manifest", set.manifest_file},
                    {"manifest_sha256", set.manifest_sha256},
                    {"good", set.good()},
                    {"broken", set.broken},
                    {"artifacts", std::move(artifacts)}});
  }
  return sets;
}

}  // namespace bba::commands
