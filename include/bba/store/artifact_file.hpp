// One artifact on its way to disk. Until publish() it has no name in any directory (O_TMPFILE), so nothing
// partial is ever found, whatever kills the program or the machine.
#pragma once

#include <cstdint>
#include <string>

#include "bba/base/bytes.hpp"
#include "bba/base/fd.hpp"

namespace bba::store {

// The backup directory: opened once, held by descriptor.
class BackupDirectory {
 public:
  // Makes it (0700, parents must exist or are made 0755) where it is missing. Throws Error{storage} where
  // it is no directory, belongs to somebody else than the caller, or can be written by group or others.
  static BackupDirectory open_or_create(const std::string& path);
  // The same, for commands that only read: never creates. Throws Error{storage}.
  static BackupDirectory open_existing(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }
  std::uint64_t free_bytes() const;  // for the caller (statvfs)
  bool contains(const std::string& name) const;
  void remove(const std::string& name) const;  // Error{storage}; a missing file is none
  void sync() const;                           // fsync of the directory

 private:
  BackupDirectory(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  Fd fd_;
};

class ArtifactFile {
 public:
  // An empty file, mode 0600. Where the filesystem has no O_TMPFILE it is a dot-file that is removed
  // unless published; unnamed() tells which.
  explicit ArtifactFile(const BackupDirectory& directory);
  ArtifactFile(ArtifactFile&& other) noexcept;
  ArtifactFile& operator=(ArtifactFile&&) = delete;
  ~ArtifactFile();  // abandons what was not published

  // Appends. Starts write-back early, in steps of some MiB, so that the fsync at the end is short.
  void write(ByteView bytes);
  // Everything written is on the disk from here on.
  void sync();
  // Gives the file its name. sync() first. Error{storage} where the name is taken (EEXIST): nothing is ever
  // replaced. The directory is to be synced by the caller, once for the whole set.
  void publish(const std::string& name);

  int fd() const noexcept { return fd_.get(); }  // to read it back
  std::uint64_t bytes() const noexcept { return bytes_; }
  bool unnamed() const noexcept { return dot_name_.empty(); }

 private:
  const BackupDirectory* directory_;
  Fd fd_;
  std::uint64_t bytes_ = 0;
  std::uint64_t writeback_ = 0;
  std::string dot_name_;
};

// Replaces a small file as a whole: a reader sees the old content or the new, never a part. Used for the
// proof and the journal, which have one fixed name. Error{storage}.
void replace_file(const std::string& path, std::string_view content, unsigned mode);

}  // namespace bba::store
