// Two tars of the same tree, compared entry by entry whatever their order: what an artifact holds,
// and what came back after it was restored. 32 bytes an entry are kept, so that a tree of a million
// files costs 32 MB.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::tree {

// Tells of each entry once it has passed, with the digest of its content.
class EntryWalk : public pipe::TarVisitor {
 public:
  using Seen = std::function<void(const pipe::TarEntry&, const std::string& content_sha256)>;
  explicit EntryWalk(Seen seen) : seen_(std::move(seen)) {}
  bool entry(const pipe::TarEntry& entry) override;
  void data(const Chunk& chunk) override { content_.update(chunk.bytes()); }
  void entry_end() override;

 private:
  Seen seen_;
  pipe::TarEntry entry_;
  pipe::Hasher content_;
};

// Half a SHA-256, as a number that can be sorted.
using EntryDigest = std::array<std::uint64_t, 2>;
EntryDigest digest_of_path(std::string_view path);

// The time to which the engine sets an entry that it extracts: one that it cannot set becomes 1970
// (moby/moby pkg/archive boundTime; 20.10 does so before 1970 and after 2262).
std::int64_t extracted_mtime(std::int64_t mtime);

class TreeComparer {
 public:
  // `implied_directories`: directories may come back that are not expected, as some tars name only
  // what lies in them.
  explicit TreeComparer(bool implied_directories = false)
      : implied_directories_(implied_directories) {}

  void add_expected(const pipe::TarEntry& entry, const std::string& content_sha256);
  // After the last add_expected(), before the first add_actual().
  void close();
  void add_actual(const pipe::TarEntry& entry, const std::string& content_sha256);

  std::uint64_t entries() const noexcept { return expected_.size(); }
  std::uint64_t content_bytes() const noexcept { return content_bytes_; }
  // Entries whose time the engine cannot set.
  std::uint64_t times_clamped() const noexcept { return times_clamped_; }

  // After the last add_actual(). Of expected entries: missing, different, or there twice; at most
  // 1000.
  std::set<EntryDigest> differing() const;
  // The first actual entry that was not expected; empty where all were.
  const std::string& first_unexpected() const noexcept { return unexpected_; }
  bool same() const { return unexpected_.empty() && differing().empty(); }

 private:
  struct Line {
    EntryDigest path;
    EntryDigest what;
  };

  bool implied_directories_;
  std::vector<Line> expected_;
  std::vector<bool> found_;
  std::set<EntryDigest> differing_;
  std::string unexpected_;
  std::uint64_t content_bytes_ = 0;
  std::uint64_t times_clamped_ = 0;
};

// One entry and its content's digest, for telling two apart.
struct EntryFacts {
  pipe::TarEntry entry;
  std::string content_sha256;
};
// "its mode is 0640, and 0604 after restoring"; empty where they are alike.
std::string entry_difference(const EntryFacts& artifact, const EntryFacts& restored);

}  // namespace bba::tree
