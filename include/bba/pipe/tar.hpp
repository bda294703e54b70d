// Reads a tar stream (POSIX.1-2001 pax and ustar, GNU long names and base-256 numbers) as it
// passes, strictly: every header's checksum, every entry complete, two zero blocks at the end,
// nothing but zeros after them, a length that is a multiple of 512. Readers made to be lenient,
// libarchive's among them, call a tar clean that was cut between two entries; a backup may not.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

enum class TarType : char {
  file = '0',
  hard_link = '1',
  symlink = '2',
  character_device = '3',
  block_device = '4',
  directory = '5',
  fifo = '6',
};

struct TarEntry {
  std::string path = {};  // as in the tar, without a trailing slash
  TarType type = TarType::file;
  std::uint64_t size = 0;  // bytes of content that follow
  std::uint32_t mode = 0;  // permission, set-id and sticky bits
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::int64_t mtime = 0;  // seconds since 1970
  std::string link = {};   // target of a symlink, path of a hard link's first name
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
  std::map<std::string, std::string> xattrs = {};  // from SCHILY.xattr.* records
  std::uint64_t offset = 0;                        // of the entry's first header block in the tar
};

class TarVisitor {
 public:
  virtual ~TarVisitor() = default;
  // A new entry. False leaves it out of what is passed on (its data is not shown either).
  virtual bool entry(const TarEntry& entry) = 0;
  // Content of the current, kept entry.
  virtual void data(const Chunk& chunk) = 0;
  // The current, kept entry is complete.
  virtual void entry_end() = 0;
};

// Shows the tar to `visitor` and passes its bytes, less the entries left out, to `next` (may be
// null). Errors are Error{artifact} and name the entry and the offset, as "cut inside data/big.bin
// at byte 1234".
class TarReader : public Stage {
 public:
  TarReader(TarVisitor& visitor, Stage* next);
  ~TarReader() override;
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t entries() const noexcept;  // kept ones

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Writes a pax tar (through libarchive) into `next`.
class TarWriter {
 public:
  explicit TarWriter(Stage& next);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;
  void begin(const TarEntry& entry);
  void data(ByteView bytes);  // exactly entry.size bytes in all; more or fewer is Error{capture}
  void end();
  void finish();  // the end blocks; does not finish `next`

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bba::pipe
