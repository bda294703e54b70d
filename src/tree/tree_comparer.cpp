#include "bba/tree/tree_comparer.hpp"

#include <algorithm>
#include <charconv>

#include "bba/base/text.hpp"
#include "bba/base/time.hpp"
#include "bba/tree/tar_against_walk.hpp"

namespace bba::tree {

namespace {

constexpr std::size_t most_differing = 1000;

EntryDigest digest_of(std::string_view text) {
  pipe::Hasher hasher;
  hasher.update(as_bytes(text));
  const std::string hex = hasher.hex();
  EntryDigest digest{};
  std::from_chars(hex.data(), hex.data() + 16, digest[0], 16);
  std::from_chars(hex.data() + 16, hex.data() + 32, digest[1], 16);
  return digest;
}

// The one extended attribute that the engine's tar carries; Go's archive/tar reads it back so.
std::string capability_of(const pipe::TarEntry& entry) {
  const auto found = entry.xattrs.find("security.capability");
  return found == entry.xattrs.end() ? std::string() : found->second;
}

bool has_device(const pipe::TarEntry& entry) {
  return entry.type == pipe::TarType::character_device || entry.type == pipe::TarType::block_device;
}

std::string device_of(const pipe::TarEntry& entry) {
  return has_device(entry) ? fmt::format("{}:{}", entry.dev_major, entry.dev_minor) : "";
}

EntryDigest digest_of_entry(const pipe::TarEntry& entry, const std::string& content) {
  // The link comes last: it alone can hold any byte.
  return digest_of(fmt::format("{} {} {:o} {}:{} {} {} {} {} {}", static_cast<char>(entry.type),
                               entry.size, entry.mode, entry.uid, entry.gid,
                               extracted_mtime(entry.mtime), device_of(entry), content,
                               capability_of(entry).size(), capability_of(entry) + entry.link));
}

std::string shown_time(std::int64_t mtime) {
  return format_rfc3339(Timestamp(std::chrono::seconds(mtime)));
}

}  // namespace

EntryDigest digest_of_path(std::string_view path) {
  return digest_of(path);
}

std::int64_t extracted_mtime(std::int64_t mtime) {
  constexpr std::int64_t latest = 9'223'372'036;  // in nanoseconds, the largest 64-bit number
  return mtime < 0 || mtime > latest ? 0 : mtime;
}

bool EntryWalk::entry(const pipe::TarEntry& entry) {
  entry_ = entry;
  return true;
}

void EntryWalk::entry_end() {
  seen_(entry_, content_.hex());
}

void TreeComparer::add_expected(const pipe::TarEntry& entry, const std::string& content_sha256) {
  if (extracted_mtime(entry.mtime) != entry.mtime) ++times_clamped_;
  content_bytes_ += entry.size;
  expected_.push_back({digest_of_path(entry.path), digest_of_entry(entry, content_sha256)});
}

void TreeComparer::close() {
  std::sort(expected_.begin(), expected_.end(),
            [](const Line& a, const Line& b) { return a.path < b.path; });
  found_.assign(expected_.size(), false);
  for (std::size_t i = 1; i < expected_.size(); ++i) {
    // When restored, the second would replace the first.
    if (expected_[i].path == expected_[i - 1].path) differing_.insert(expected_[i].path);
  }
}

void TreeComparer::add_actual(const pipe::TarEntry& entry, const std::string& content_sha256) {
  const EntryDigest path = digest_of_path(entry.path);
  const auto found = std::lower_bound(
      expected_.begin(), expected_.end(), path,
      [](const Line& line, const EntryDigest& wanted) { return line.path < wanted; });
  if (found == expected_.end() || found->path != path) {
    const bool implied = implied_directories_ && entry.type == pipe::TarType::directory;
    if (!implied && unexpected_.empty()) unexpected_ = entry.path;
    return;
  }
  found_[static_cast<std::size_t>(found - expected_.begin())] = true;
  if (found->what != digest_of_entry(entry, content_sha256) && differing_.size() < most_differing) {
    differing_.insert(path);
  }
}

std::set<EntryDigest> TreeComparer::differing() const {
  std::set<EntryDigest> all = differing_;
  for (std::size_t i = 0; i < expected_.size() && all.size() < most_differing; ++i) {
    if (!found_[i]) all.insert(expected_[i].path);
  }
  return all;
}

std::string entry_difference(const EntryFacts& artifact, const EntryFacts& restored) {
  const pipe::TarEntry& a = artifact.entry;
  const pipe::TarEntry& b = restored.entry;
  const auto differ = [](std::string_view what, const auto& first, const auto& second) {
    return fmt::format("its {} is {}, and {} after restoring", what, first, second);
  };
  if (a.type != b.type) return differ("type", type_name(a.type), type_name(b.type));
  if (a.size != b.size) return differ("size", a.size, b.size);
  if (a.mode != b.mode) {
    return differ("mode", fmt::format("{:04o}", a.mode), fmt::format("{:04o}", b.mode));
  }
  if (a.uid != b.uid || a.gid != b.gid) {
    return differ("owner", fmt::format("{}:{}", a.uid, a.gid), fmt::format("{}:{}", b.uid, b.gid));
  }
  if (extracted_mtime(a.mtime) != extracted_mtime(b.mtime)) {
    return differ("time", shown_time(a.mtime), shown_time(b.mtime));
  }
  if (a.link != b.link) return differ("link", printable(a.link), printable(b.link));
  if (device_of(a) != device_of(b)) return differ("device", device_of(a), device_of(b));
  if (capability_of(a) != capability_of(b)) return "its file capabilities differ after restoring";
  if (artifact.content_sha256 != restored.content_sha256) {
    return differ("content's sha256", artifact.content_sha256, restored.content_sha256);
  }
  return {};
}

}  // namespace bba::tree
