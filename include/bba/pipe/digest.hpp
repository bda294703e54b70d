// Digests of passing bytes (FIPS 180-4 SHA-256, RFC 1321 MD5), through OpenSSL's libcrypto.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

enum class DigestKind { sha256, md5 };  // MD5 only to compare with the etags of an object store

// The digest on its own, for bytes that come in no chunks.
class Hasher {
 public:
  explicit Hasher(DigestKind kind = DigestKind::sha256);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(ByteView bytes);
  std::string hex();  // lower case; ends the digest and begins a new one

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Counts and digests what passes, and hands it on to `next` (which may be null).
class DigestStage : public Stage {
 public:
  explicit DigestStage(Stage* next) : next_(next) {}
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t bytes() const noexcept { return bytes_; }
  const std::string& sha256() const noexcept { return sha256_; }  // after finish()

 private:
  Stage* next_;
  Hasher hasher_;
  std::uint64_t bytes_ = 0;
  std::string sha256_;
};

}  // namespace bba::pipe
