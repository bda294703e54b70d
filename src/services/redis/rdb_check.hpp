// Proves, from the bytes that pass by, that an RDB file is whole.
#pragma once

#include <cstdint>
#include <memory>

#include "bba/pipe/stage.hpp"

namespace bba::services::redis {

// A Redis or Valkey RDB file: magic and version, and at the end 0xFF with the CRC64 of everything
// before it (RDB version 5 and later; 0 means that the server wrote none). Source: redis/redis
// src/rdb.c, crc64.c. What is between is not parsed; by the nature of that CRC the same file twice
// over passes, too.
class RdbCheck : public pipe::Stage {
 public:
  RdbCheck();
  ~RdbCheck() override;
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t bytes() const noexcept;
  int version() const noexcept;        // of the format: 10 for Redis 7.0
  bool checksum_off() const noexcept;  // the server wrote 0: only the frame of the file is proven

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::services::redis
