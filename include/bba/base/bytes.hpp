// Bytes on their way through the program. A Chunk is a shared, immutable run of bytes, so that
// handing it to several stages or cutting a piece out of it copies nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace bba {

using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Chunk {
 public:
  Chunk() = default;
  // The first `size` bytes of `owner`, which nobody may change from here on.
  Chunk(std::shared_ptr<const std::byte[]> owner, std::size_t size)
      : owner_(std::move(owner)), view_(owner_.get(), size) {}

  static Chunk copy_of(ByteView bytes) {
    auto owner = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
    if (!bytes.empty()) std::memcpy(owner.get(), bytes.data(), bytes.size());
    return Chunk(std::move(owner), bytes.size());
  }
  static Chunk copy_of(std::string_view text) { return copy_of(as_bytes(text)); }

  ByteView bytes() const noexcept { return view_; }
  std::string_view text() const noexcept { return as_text(view_); }
  std::size_t size() const noexcept { return view_.size(); }
  bool empty() const noexcept { return view_.empty(); }

  // The piece [offset, offset + length), sharing the same memory.
  Chunk sub(std::size_t offset, std::size_t length = std::dynamic_extent) const {
    Chunk piece = *this;
    piece.view_ = view_.subspan(offset, length);
    return piece;
  }

 private:
  std::shared_ptr<const std::byte[]> owner_;
  ByteView view_;
};

}  // namespace bba
