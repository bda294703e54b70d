// The format checks: each proves, from the bytes that pass by, that a dump or snapshot is whole.
// backup, verify and drill use the same ones. They throw Error{artifact} at the first thing that is
// wrong.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bba/pipe/stage.hpp"

namespace bba::pipe {

// pg_dumpall's output: it must end with exactly
// "--\n-- PostgreSQL database cluster dump complete\n--\n\n" (PostgreSQL, pg_dumpall.c), and not
// inside the rows of a COPY: rows can hold these very lines. Counts on the way what a restore has
// to bring back: the databases of the \connect lines, and in each the extensions, the rows of the
// tables and the large objects.
struct SqlDatabase {
  std::string name = {};
  std::vector<std::string> extensions = {};  // of CREATE EXTENSION
  std::uint64_t large_objects = 0;
  std::uint64_t large_object_bytes = 0;
  std::uint64_t rows = 0;                            // of all tables
  std::map<std::string, std::uint64_t> tables = {};  // rows, by the name as SQL writes it
  std::uint64_t tables_left_out = 0;                 // COPYs whose rows are in `rows` alone
};

class SqlTailCheck : public Stage {
 public:
  void write(const Chunk& chunk) override;
  void finish() override;
  std::uint64_t bytes() const noexcept { return bytes_; }
  // Databases connected to, in order, once each. At most 10,000 are kept, and 10,000 tables of all
  // of them.
  const std::vector<SqlDatabase>& databases() const noexcept { return databases_; }

 private:
  // pg_dump announces the rows of a table with a comment, an empty line, and "COPY ... FROM
  // stdin;". A function's body can hold such a COPY, but hardly all three lines.
  enum class Before { other, comment_end, empty_line };

  std::size_t take_rows(std::string_view text);
  void line(std::string_view line);
  void hold(std::string_view part);
  void statement(std::string_view line);
  void begin_rows(std::string_view line);
  void end_rows();
  void note_database(std::string_view arguments);
  void note_extension(std::string_view line);

  std::uint64_t bytes_ = 0;
  std::vector<SqlDatabase> databases_;
  std::map<std::string, std::size_t> index_;  // of each name in databases_
  SqlDatabase* database_ = nullptr;           // the one connected to, where it is kept
  std::size_t tables_ = 0;                    // kept, of all databases
  std::string table_;                         // whose rows pass
  std::uint64_t rows_ = 0;                    // ... so far
  bool after_lo_create_ = false;              // the line before made a large object
  bool in_lo_data_ = false;                   // in the section that fills them
  std::string line_;                          // the start of an unfinished line
  bool line_too_long_ = false;  // ... of which nothing is kept: it is none that matters
  bool in_copy_ = false;
  Before before_ = Before::other;
  std::string tail_;
};

// A Redis or Valkey RDB file: magic and version, and at the end 0xFF with the CRC64 of everything
// before it (RDB version 5 and later; 0 means that the server wrote none). Source: redis/redis
// src/rdb.c, crc64.c. What is between is not parsed; by the nature of that CRC the same file twice
// over passes, too.
class RdbCheck : public Stage {
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

// A raft snapshot of Vault or OpenBao: gzip(tar) with meta.json, state.bin, SHA256SUMS and
// SHA256SUMS.sealed. Proves both sums, meta.json's Size, a sealed file that is not empty, the gzip
// trailer. Source: hashicorp/raft-snapshot archive.go.
class SnapshotCheck : public Stage {
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

}  // namespace bba::pipe
