#include "rdb_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "bba/base/text.hpp"
#include "bba/pipe/crc64.hpp"

namespace bba::services::redis {

namespace {

constexpr std::size_t magic_size = 9;  // "REDIS0010", "VALKEY080"
constexpr std::size_t sum_size = 8;
constexpr int first_version_with_sum = 5;
constexpr char end_opcode = '\xFF';

[[noreturn]] void refuse(std::uint64_t offset, std::string_view cause) {
  throw Error(ErrorKind::artifact, fmt::format("RDB: at byte {}: {}", offset, cause));
}

}  // namespace

struct RdbCheck::Impl {
  std::uint64_t bytes = 0;
  int version = 0;
  bool checksum_off = false;
  std::string start;      // until it holds the magic
  std::uint64_t crc = 0;  // of everything before `tail`
  char last = 0;          // the byte before `tail`
  std::string tail;       // the last bytes, which may be the sum

  void read_magic();
  void add(std::string_view text);
  void add_to_sum(std::string_view text);
};

void RdbCheck::Impl::read_magic() {
  const std::string_view magic = start;
  const std::size_t name_size = magic.starts_with("REDIS")    ? 5
                                : magic.starts_with("VALKEY") ? 6
                                                              : 0;
  const char* const end = magic.data() + magic.size();
  const auto parsed = std::from_chars(magic.data() + name_size, end, version);
  if (name_size == 0 || parsed.ptr != end || version < 1) {
    refuse(0, "neither the magic of Redis nor of Valkey with a version");
  }
}

void RdbCheck::Impl::add_to_sum(std::string_view text) {
  if (text.empty()) return;
  crc = pipe::add_to_crc64(crc, text);
  last = text.back();
}

// Everything but the last sum_size bytes goes into the sum.
void RdbCheck::Impl::add(std::string_view text) {
  if (text.size() >= sum_size) {
    add_to_sum(tail);
    add_to_sum(text.substr(0, text.size() - sum_size));
    tail = text.substr(text.size() - sum_size);
    return;
  }
  tail += text;
  if (tail.size() <= sum_size) return;
  const std::size_t surplus = tail.size() - sum_size;
  add_to_sum(std::string_view(tail).substr(0, surplus));
  tail.erase(0, surplus);
}

RdbCheck::RdbCheck() : impl_(std::make_unique<Impl>()) {}
RdbCheck::~RdbCheck() = default;

void RdbCheck::write(const Chunk& chunk) {
  const std::string_view text = chunk.text();
  if (impl_->start.size() < magic_size) {
    impl_->start += text.substr(0, magic_size - impl_->start.size());
    if (impl_->start.size() == magic_size) impl_->read_magic();
  }
  impl_->bytes += text.size();
  impl_->add(text);
}

void RdbCheck::finish() {
  Impl& rdb = *impl_;
  if (rdb.version == 0) refuse(rdb.bytes, "cut inside the magic");
  if (rdb.version < first_version_with_sum) {
    if (rdb.bytes == magic_size || rdb.tail.back() != end_opcode) {
      refuse(rdb.bytes, "it does not end with the end opcode");
    }
    return;
  }
  if (rdb.bytes < magic_size + 1 + sum_size || rdb.last != end_opcode) {
    refuse(rdb.bytes,
           "it does not end with the end opcode and a checksum: cut, or something follows");
  }
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sum_size; ++i) {
    sum |= std::uint64_t{static_cast<unsigned char>(rdb.tail[i])} << (8 * i);
  }
  rdb.checksum_off = sum == 0;
  if (!rdb.checksum_off && sum != rdb.crc) {
    refuse(rdb.bytes - sum_size,
           fmt::format("its checksum {:016x} is not that of its content, {:016x}", sum, rdb.crc));
  }
}

std::uint64_t RdbCheck::bytes() const noexcept {
  return impl_->bytes;
}
int RdbCheck::version() const noexcept {
  return impl_->version;
}
bool RdbCheck::checksum_off() const noexcept {
  return impl_->checksum_off;
}

}  // namespace bba::services::redis
