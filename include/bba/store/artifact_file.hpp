// One artifact on its way to disk. Until publish() it has no name in any directory (O_TMPFILE), so
// nothing partial is ever found, whatever kills the program or the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "bba/base/bytes.hpp"
#include "bba/base/fd.hpp"

namespace bba::store {

// The backup directory, or the state directory: opened once, held by descriptor.
class OwnedDirectory {
 public:
  // Makes it (0700, parents must exist or are made 0755) where it is missing. Throws Error{storage}
  // where it is not a directory, belongs to somebody else than the caller, or can be written by
  // group or others. A symlink is followed; what counts is the directory that it leads to.
  static OwnedDirectory open_or_create(const std::string& path);
  // The same, for commands that only read: never creates. Throws Error{storage}.
  static OwnedDirectory open_existing(const std::string& path);
  // A copy of a backup directory, wherever it was carried to and whoever owns it there: for verify.
  static OwnedDirectory open_copy(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }
  std::uint64_t free_bytes() const;  // for the caller (statvfs)
  bool contains(const std::string& name) const;
  // A regular file, to be read; never through a symlink. Error{artifact} where there is none, or
  // where the disk cannot read it; Error{storage} where it may not be read.
  Fd open_file(const std::string& name) const;
  void remove(const std::string& name) const;  // Error{storage}; not for a missing file
  void sync() const;                           // fsync of the directory

 private:
  OwnedDirectory(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  Fd fd_;
};

class ArtifactFile {
 public:
  // An empty file, mode 0600, in a directory that outlives it. Where the filesystem has no
  // O_TMPFILE it is a dot-file that is removed unless published; unnamed() tells which.
  explicit ArtifactFile(const OwnedDirectory& directory);
  ArtifactFile(ArtifactFile&& other) noexcept;
  ArtifactFile& operator=(ArtifactFile&&) = delete;
  ~ArtifactFile();  // abandons what was not published

  // Appends. Starts write-back early, in steps of some MiB, so that the fsync at the end is short.
  void write(ByteView bytes);
  // Everything written is on the disk from here on.
  void sync();
  // Gives the file its name. sync() first. Error{storage} where the name is taken (EEXIST): nothing
  // is ever replaced. The caller syncs the directory, once for the whole set.
  void publish(const std::string& name);

  int fd() const noexcept { return fd_.get(); }  // to read it back
  std::uint64_t bytes() const noexcept { return bytes_; }
  bool unnamed() const noexcept { return unnamed_; }

 private:
  const OwnedDirectory* directory_;
  Fd fd_;
  std::uint64_t bytes_ = 0;
  std::uint64_t writeback_ = 0;
  bool synced_ = false;
  bool unnamed_ = true;
  std::string dot_name_;  // until publish()
};

// Whether `file` is the dot-file of an artifact that was not published: ".bba-<random>.partial". A
// run that is alive holds it with flock.
bool is_partial_name(std::string_view file);

// Replaces a small file as a whole: a reader sees the old content or the new, never a part. It is
// the one of that name in the open directory; the rest of `path` is only for messages.
// Error{storage}.
void replace_file(int directory, const std::string& path, std::string_view content, unsigned mode);

}  // namespace bba::store
