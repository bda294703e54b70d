#include "bba/pipe/digest.hpp"

#include <array>
#include <string_view>
#include <utility>

#include <openssl/evp.h>

namespace bba::pipe {

namespace {

void require(bool done) {
  if (!done) throw Error(ErrorKind::internal, "OpenSSL's libcrypto refused to compute a digest");
}

}  // namespace

struct Hasher::Context {
  const EVP_MD* algorithm;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(),
                                                                 &EVP_MD_CTX_free};
};

Hasher::Hasher(DigestKind kind)
    : context_(new Context{kind == DigestKind::md5 ? EVP_md5() : EVP_sha256()}) {
  require(context_->digest != nullptr);
  require(EVP_DigestInit_ex(context_->digest.get(), context_->algorithm, nullptr) == 1);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(ByteView bytes) {
  require(EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size()) == 1);
}

std::string Hasher::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context_->digest.get(), digest.data(), &size) == 1);
  require(EVP_DigestInit_ex(context_->digest.get(), context_->algorithm, nullptr) == 1);

  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 0xF];
  }
  return text;
}

void DigestStage::write(const Chunk& chunk) {
  hasher_.update(chunk.bytes());
  bytes_ += chunk.size();
  if (next_) next_->write(chunk);
}

void DigestStage::finish() {
  sha256_ = hasher_.hex();
  if (next_) next_->finish();
}

}  // namespace bba::pipe
