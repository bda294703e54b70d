#include "snapshot_check.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bba/base/json.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/compress.hpp"
#include "bba/pipe/digest.hpp"
#include "bba/pipe/tar.hpp"

namespace bba::services::vault {

namespace {

// Of meta.json and the two lists of sums: raft-snapshot itself reads no more than 8 KiB of each.
constexpr std::size_t small_file_limit = 64 * 1024;

[[noreturn]] void refuse(std::string_view cause) {
  throw Error(ErrorKind::artifact, fmt::format("raft snapshot: {}", cause));
}

std::uint64_t meta_number(const Json& meta, std::string_view key) {
  const std::optional<std::uint64_t> value = size_member(meta, key);
  if (!value) refuse(fmt::format("meta.json has no {}", key));
  return *value;
}

}  // namespace

struct SnapshotCheck::Impl : public pipe::TarVisitor {
  struct File {
    std::uint64_t size = 0;
    std::string content;  // of the small ones
    std::string sha256;
  };

  bool entry(const pipe::TarEntry& entry) override {
    static constexpr std::string_view known[] = {"meta.json", "state.bin", "SHA256SUMS",
                                                 "SHA256SUMS.sealed"};
    if (std::find(std::begin(known), std::end(known), entry.path) == std::end(known) ||
        entry.type != pipe::TarType::file) {
      refuse(fmt::format("{} does not belong in one", entry.path));
    }
    const auto [position, added] = files.try_emplace(entry.path);
    if (!added) refuse(fmt::format("it holds {} twice", entry.path));
    small = entry.path != "state.bin";
    if (small && entry.size > small_file_limit) {
      refuse(fmt::format("{} is too large: {} bytes", entry.path, entry.size));
    }
    current = &position->second;
    current->size = entry.size;
    return true;
  }
  void data(const Chunk& chunk) override {
    hasher.update(chunk.bytes());
    if (small) current->content += chunk.text();
  }
  void entry_end() override { current->sha256 = hasher.hex(); }

  const File& file(std::string_view name) const {
    const auto found = files.find(name);
    if (found == files.end()) refuse(fmt::format("it has no {}", name));
    return found->second;
  }
  void check_sums() const;
  void check_meta();

  std::map<std::string, File, std::less<>> files;
  File* current = nullptr;
  bool small = false;
  pipe::Hasher hasher;
  std::uint64_t index = 0;
  std::uint64_t term = 0;

  pipe::TarReader tar{*this, nullptr};
  std::unique_ptr<pipe::Stage> gzip = pipe::make_decompressor(pipe::Compression::gzip, tar);
};

// Lines of "<sum>  <name>", in any order: the writer walks a hash map.
void SnapshotCheck::Impl::check_sums() const {
  std::map<std::string, std::string, std::less<>> sums;
  std::string_view list = file("SHA256SUMS").content;
  while (!list.empty()) {
    const std::string_view line = list.substr(0, list.find('\n'));
    list.remove_prefix(std::min(list.size(), line.size() + 1));
    constexpr std::string_view gap = "  ";
    const std::size_t space = line.find(gap);
    if (space == std::string_view::npos) refuse("a line of SHA256SUMS is not a sum and a name");
    const std::string name(line.substr(space + gap.size()));
    if (name != "meta.json" && name != "state.bin") {
      refuse(fmt::format("SHA256SUMS names {}", name));
    }
    if (!sums.emplace(name, line.substr(0, space)).second) {
      refuse(fmt::format("SHA256SUMS names {} twice", name));
    }
  }
  for (const std::string_view name : {"meta.json", "state.bin"}) {
    const auto sum = sums.find(name);
    if (sum == sums.end()) refuse(fmt::format("SHA256SUMS does not name {}", name));
    if (sum->second != file(name).sha256) refuse(fmt::format("{} does not match its sum", name));
  }
}

void SnapshotCheck::Impl::check_meta() {
  const std::optional<Json> meta = parse_json(file("meta.json").content);
  if (!meta || !meta->is_object()) refuse("meta.json is not a JSON object");
  index = meta_number(*meta, "Index");
  term = meta_number(*meta, "Term");
  const std::uint64_t size = meta_number(*meta, "Size");
  if (size != file("state.bin").size) {
    refuse(fmt::format("state.bin has {} bytes, not the {} that meta.json says",
                       file("state.bin").size, size));
  }
}

SnapshotCheck::SnapshotCheck() : impl_(std::make_unique<Impl>()) {}
SnapshotCheck::~SnapshotCheck() = default;

void SnapshotCheck::write(const Chunk& chunk) {
  impl_->gzip->write(chunk);
}

void SnapshotCheck::finish() {
  impl_->gzip->finish();
  impl_->check_sums();
  impl_->check_meta();
  if (impl_->file("SHA256SUMS.sealed").size == 0) refuse("SHA256SUMS.sealed is empty");
}

std::uint64_t SnapshotCheck::index() const noexcept {
  return impl_->index;
}
std::uint64_t SnapshotCheck::term() const noexcept {
  return impl_->term;
}
std::uint64_t SnapshotCheck::state_bytes() const noexcept {
  const auto state = impl_->files.find("state.bin");
  return state == impl_->files.end() ? 0 : state->second.size;
}

}  // namespace bba::services::vault
