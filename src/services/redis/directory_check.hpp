// What is looked for in an archive of the server's directory: when it is taken, and when it is read
// again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aof_count.hpp"
#include "bba/services/files.hpp"
#include "rdb_check.hpp"

namespace bba::services::redis {

// As the archive is taken. PathArchive::expected: {"rdb_file": its name below the directory,
// "required": whether its lack is an error, "stale": whether the server runs and has not just saved
// it}.
class DirectoryFiles : public tree::FileCheck {
 public:
  explicit DirectoryFiles(const service::PathArchive& archive);
  bool entry(const std::string& below, const pipe::TarEntry& entry) override;
  void data(const Chunk& chunk) override;
  void file_end() override;
  void finish() override;
  void add_found(Json& found) const override;
  std::vector<std::string> warnings() const override;
  std::string hint() const override;

 private:
  std::string written() const;

  std::string path_;  // of the directory in the container
  std::string rdb_file_;
  bool required_;
  bool stale_;
  AofCount aof_;
  RdbCheck rdb_;
  std::int64_t rdb_written_ = 0;  // seconds since 1970
  bool rdb_seen_ = false;
};

// As an artifact is read: `found`, of its record, says what there is to be counted.
class DirectoryContent : public files::TarCheck {
 public:
  explicit DirectoryContent(const Json& found);
  Json found() const override;
  std::string summary() const override;

 private:
  bool entry(const pipe::TarEntry& entry) override;
  void data(const Chunk& chunk) override;
  void entry_end() override;

  std::string rdb_file_;  // below the archived directory; empty: none
  bool with_aof_;         // false for sets of earlier versions
  AofCount aof_;
  std::string path_;  // of the current entry
  std::unique_ptr<RdbCheck> rdb_;
  std::optional<int> rdb_version_;
};

}  // namespace bba::services::redis
