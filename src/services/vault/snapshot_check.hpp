// Proves, from the bytes that pass by, that a raft snapshot is whole.
#pragma once

#include <cstdint>
#include <memory>

#include "bba/pipe/stage.hpp"

namespace bba::services::vault {

// A raft snapshot of Vault or OpenBao: gzip(tar) with meta.json, state.bin, SHA256SUMS and
// SHA256SUMS.sealed. Proves both sums, meta.json's Size, a sealed file that is not empty, the gzip
// trailer. Source: hashicorp/raft-snapshot archive.go.
class SnapshotCheck : public pipe::Stage {
 public:
  SnapshotCheck();
  ~SnapshotCheck() override;
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t index() const noexcept;  // meta.json's Index
  std::uint64_t term() const noexcept;
  std::uint64_t state_bytes() const noexcept;  // the size of state.bin

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::services::vault
