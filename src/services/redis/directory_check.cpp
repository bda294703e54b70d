#include "directory_check.hpp"

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"

namespace bba::services::redis {

namespace {

bool says_yes(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  return value != nullptr && *value == true;
}

}  // namespace

// ---- as the archive is taken

DirectoryFiles::DirectoryFiles(const service::PathArchive& archive)
    : path_(archive.path),
      rdb_file_(string_member(archive.expected, "rdb_file").value_or("")),
      required_(says_yes(archive.expected, "required")),
      stale_(says_yes(archive.expected, "stale")) {}

bool DirectoryFiles::entry(const std::string& below, const pipe::TarEntry& entry) {
  aof_.add(below, entry.type, entry.size);
  if (rdb_file_.empty() || below != rdb_file_ || entry.type != pipe::TarType::file) return false;
  rdb_written_ = entry.mtime;
  return true;
}

void DirectoryFiles::data(const Chunk& chunk) {
  rdb_.write(chunk);
}

void DirectoryFiles::file_end() {
  rdb_.finish();
  rdb_seen_ = true;
}

void DirectoryFiles::finish() {
  if (!required_ || rdb_seen_) return;
  throw Error(ErrorKind::capture,
              fmt::format("{} holds no {}, which the server says it saved", path_, rdb_file_),
              "the engine does not read a tmpfs: where it is one, the data is gone with the "
              "container anyway");
}

std::string DirectoryFiles::written() const {
  return format_rfc3339(Timestamp(std::chrono::seconds(rdb_written_)));
}

void DirectoryFiles::add_found(Json& found) const {
  found["aof_files"] = aof_.files();
  if (!rdb_seen_) return;
  found["rdb_file"] = rdb_file_;
  found["rdb_version"] = rdb_.version();
  found["rdb_written"] = written();
}

std::vector<std::string> DirectoryFiles::warnings() const {
  std::vector<std::string> warnings;
  if (rdb_seen_ && stale_) {
    warnings.push_back(fmt::format(
        "{} was saved by the server at {}: what it got since then is in this backup only where it "
        "keeps an append-only file",
        rdb_file_, written()));
  }
  if (rdb_seen_ && rdb_.checksum_off()) {
    warnings.push_back(fmt::format(
        "{} has no checksum (rdbchecksum no): damage inside of it would not be seen", rdb_file_));
  }
  return warnings;
}

std::string DirectoryFiles::hint() const {
  return "the server's own file is damaged: --class E takes the files as they are";
}

// ---- as it is read again

DirectoryContent::DirectoryContent(const Json& found)
    : rdb_file_(string_member(found, "rdb_file").value_or("")),
      with_aof_(member(found, "aof_files") != nullptr) {}

Json DirectoryContent::found() const {
  Json found = TarCheck::found();
  if (!rdb_file_.empty()) {
    if (!rdb_version_) throw Error(ErrorKind::artifact, "it holds no " + rdb_file_);
    found["rdb_version"] = *rdb_version_;
  }
  if (with_aof_) found["aof_files"] = aof_.files();
  return found;
}

std::string DirectoryContent::summary() const {
  std::string text = TarCheck::summary();
  if (rdb_version_) text += fmt::format(", {} of RDB version {}", rdb_file_, *rdb_version_);
  return text;
}

bool DirectoryContent::entry(const pipe::TarEntry& entry) {
  TarCheck::entry(entry);
  path_ = entry.path;
  const std::size_t slash = entry.path.find('/');
  if (slash == entry.path.npos) return true;
  const std::string_view below = std::string_view(entry.path).substr(slash + 1);
  if (with_aof_) aof_.add(below, entry.type, entry.size);
  if (!rdb_file_.empty() && entry.type == pipe::TarType::file && below == rdb_file_) {
    rdb_ = std::make_unique<RdbCheck>();
  }
  return true;
}

void DirectoryContent::data(const Chunk& chunk) {
  if (rdb_) with_context(path_, [&] { rdb_->write(chunk); });
}

void DirectoryContent::entry_end() {
  if (!rdb_) return;
  with_context(path_, [&] { rdb_->finish(); });
  rdb_version_ = rdb_->version();
  rdb_.reset();
}

}  // namespace bba::services::redis
