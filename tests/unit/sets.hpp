// Backup sets for tests, made by the stages and the manifest code that make real ones.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"
#include "bba/store/manifest_checksum.hpp"
#include "unit/pipe/support.hpp"

namespace bba::test {

using pipe::test::contains;
using pipe::test::read_file;
using pipe::test::write_file;

// A directory with backups, proofs and state in it.
class SetDirectory {
 public:
  SetDirectory() { store::OwnedDirectory::open_or_create(backups()); }

  std::string backups() const { return temp / "backups"; }
  std::string proofs() const { return temp / "proofs"; }
  std::string state() const { return temp / "state"; }
  std::string path(const std::string& file) const { return backups() + "/" + file; }

  pipe::test::TempDir temp;
};

struct Content {
  std::string kind;
  std::string bytes;  // uncompressed
  Json found;
};

// What pg_dumpall writes, and what its check counts in it.
inline Content sql_content(std::uint64_t seed = 1) {
  const std::string rows = pipe::test::random_lines(20'000, seed);
  const auto row_count = std::ranges::count(rows, '\n') + 1;
  const std::string dump =
      "--\n-- PostgreSQL database cluster dump\n--\n\n\\connect template1\n\n\\connect app\n\n"
      "--\n-- Data for Name: t; Type: TABLE DATA\n--\n\nCOPY public.t (id, name) FROM stdin;\n" +
      rows +
      "\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
      "--\n-- PostgreSQL database cluster dump complete\n--\n\n";
  const auto database = [](const char* name, std::int64_t count, Json tables) {
    return Json{{"name", name},       {"extensions", Json::array()},
                {"large_objects", 0}, {"large_object_bytes", 0},
                {"rows", count},      {"tables", std::move(tables)}};
  };
  return {
      "sql",
      dump,
      {{"databases", Json::array({database("template1", 0, Json::object()),
                                  database("app", row_count, Json{{"public.t", row_count}})})}}};
}

inline std::string tar_of(const std::vector<std::pair<pipe::TarEntry, std::string>>& entries) {
  pipe::test::Collector collector;
  pipe::TarWriter tar(collector);
  for (auto [entry, content] : entries) {
    entry.size = content.size();
    tar.begin(entry);
    tar.data(as_bytes(content));
    tar.end();
  }
  tar.finish();
  return collector.text;
}

inline pipe::TarEntry tar_entry(std::string path, pipe::TarType type = pipe::TarType::file,
                                std::string link = {}) {
  pipe::TarEntry entry;
  entry.path = std::move(path);
  entry.type = type;
  entry.mode = 0640;
  entry.mtime = 1'700'000'000;
  entry.link = std::move(link);
  return entry;
}

inline Content tar_content(std::uint64_t seed = 1, std::size_t size = 15'000) {
  using pipe::TarType;
  const std::string text = pipe::test::random_lines(size, seed);
  const std::string noise = pipe::test::random_bytes(3'000, seed);
  return {"tar",
          tar_of({{tar_entry("data", TarType::directory), ""},
                  {tar_entry("data/app.db"), text},
                  {tar_entry("data/empty"), ""},
                  {tar_entry("data/noise"), noise},
                  {tar_entry("data/again", TarType::hard_link, "data/noise"), ""},
                  {tar_entry("data/pipe", TarType::fifo), ""},
                  {tar_entry("data/to", TarType::symlink, "app.db"), ""}}),
          {{"entries", 7},
           {"files", 3},
           {"directories", 1},
           {"symlinks", 1},
           {"hard_links", 1},
           {"others", 1},
           {"content_bytes", text.size() + noise.size()}}};
}

// What a compose project's directory on the host is archived as.
inline Content host_content(std::uint64_t seed = 1) {
  Content content = tar_content(seed);
  content.kind = "host-directory";
  return content;
}

inline Content rdb_content(std::uint64_t seed = 1) {
  const std::string rdb = pipe::test::fixture("rdb/redis-7.0.15.rdb");
  const std::string log = pipe::test::random_lines(2'000, seed);
  return {"rdb-directory",
          tar_of({{tar_entry("data", pipe::TarType::directory), ""},
                  {tar_entry("data/dump.rdb"), rdb},
                  {tar_entry("data/redis.log"), log}}),
          {{"entries", 3},
           {"files", 2},
           {"directories", 1},
           {"symlinks", 0},
           {"hard_links", 0},
           {"others", 0},
           {"content_bytes", rdb.size() + log.size()},
           {"rdb_file", "dump.rdb"},
           {"rdb_version", 10}}};
}

inline Content objects_content(std::uint64_t seed = 1) {
  const std::string object = pipe::test::random_bytes(5'000, seed);
  return {"objects",
          tar_of({{tar_entry("objects", pipe::TarType::directory), ""},
                  {tar_entry("objects/empty", pipe::TarType::directory), ""},
                  {tar_entry("objects/photos", pipe::TarType::directory), ""},
                  {tar_entry("objects/photos/a/b.jpg"), object}}),
          {{"entries", 4},
           {"files", 1},
           {"directories", 3},
           {"symlinks", 0},
           {"hard_links", 0},
           {"others", 0},
           {"content_bytes", object.size()},
           {"objects", 1},
           {"object_bytes", object.size()},
           {"buckets", 2}}};
}

inline std::string sha256_of(std::string_view bytes) {
  pipe::Hasher hasher;
  hasher.update(as_bytes(bytes));
  return hasher.hex();
}

inline Content snapshot_content(std::uint64_t seed = 1) {
  const std::string state = pipe::test::random_bytes(6'000, seed);
  const std::string meta = R"({"Version":1,"ID":"s","Index":4711,"Term":3,"Size":6000})";
  const std::string sums = sha256_of(meta) + "  meta.json\n" + sha256_of(state) + "  state.bin\n";
  const std::string tar = tar_of({{tar_entry("meta.json"), meta},
                                  {tar_entry("state.bin"), state},
                                  {tar_entry("SHA256SUMS"), sums},
                                  {tar_entry("SHA256SUMS.sealed"), "sealed"}});
  return {"raft-snapshot",
          pipe::test::compressed(pipe::Compression::gzip, tar),
          {{"index", 4711}, {"term", 3}, {"state_bytes", 6000}}};
}

struct PartSpec {
  std::string part;
  Content content;
  pipe::Compression compression = pipe::Compression::gzip;
};

// Writes the artifacts, and the manifest last. `change` may alter the manifest before.
inline store::Manifest put_set(
    const SetDirectory& directory, const std::string& module, Timestamp time,
    const std::vector<PartSpec>& parts,
    const std::function<void(store::Manifest&)>& change = [](store::Manifest&) {}) {
  store::Manifest manifest;
  manifest.tool_version = "test";
  manifest.module = module;
  manifest.module_class = "E";
  manifest.strategy = "mounted data archive";
  manifest.started = time;
  manifest.finished = time;
  manifest.host = "here";
  manifest.container = {"c0ffee", module + "-1", "img:1", "sha256:aaaa", "", Json::object()};
  manifest.consistency.mode = "pause";
  for (const PartSpec& part : parts) {
    const bool is_snapshot = part.content.kind == "raft-snapshot";
    const auto compression = is_snapshot ? pipe::Compression::none : part.compression;
    const std::string suffix = is_snapshot ? "snap"
                                           : (part.content.kind == "sql" ? "sql" : "tar") +
                                                 std::string(pipe::file_suffix(compression));
    const std::string stored = pipe::test::compressed(compression, part.content.bytes);
    store::ArtifactRecord record;
    record.part = part.part;
    record.file = store::artifact_name(module, time, part.part, suffix);
    record.kind = part.content.kind;
    record.compression = pipe::name(compression);
    record.source = "a test";
    record.bytes = stored.size();
    record.sha256 = sha256_of(stored);
    record.uncompressed_bytes = part.content.bytes.size();
    record.found = part.content.found;
    write_file(directory.path(record.file), stored);
    manifest.artifacts.push_back(std::move(record));
  }
  change(manifest);
  write_file(directory.path(store::manifest_name(module, time)),
             store::with_checksum(store::to_json(manifest)));
  return manifest;
}

// For put_set(): what a restore in place takes beforehand.
inline void as_safety_set(store::Manifest& manifest) {
  manifest.purpose = store::before_restore;
}

// The receipt of a drill of this set, as it is now.
inline void put_receipt(const SetDirectory& directory, const std::string& module, Timestamp time,
                        bool passed = true) {
  const std::string manifest = store::manifest_name(module, time);
  Json receipt = {{"schema", 1},
                  {"module", module},
                  {"manifest", manifest},
                  {"manifest_sha256", sha256_of(read_file(directory.path(manifest)))},
                  {"passed", passed}};
  if (!passed) receipt["error"] = "a key is lost";
  write_file(directory.path(store::receipt_name(module, time)), pretty_json(receipt));
}

inline std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "KIND-number: message | hint" of what `action` throws, "" where it throws nothing.
struct Thrown {
  std::optional<ErrorKind> kind;
  std::string message;
  std::string hint;
};
inline Thrown thrown_by(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.kind(), error.what(), error.hint()};
  }
  return {};
}

constexpr Timestamp noon =
    std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + std::chrono::hours(12);

}  // namespace bba::test
