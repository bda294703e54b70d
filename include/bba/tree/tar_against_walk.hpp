// The tar that the engine sends, checked against what this host itself sees of the same data. The
// engine silently loses files (docs/design.md), so this decides whether an archive is complete.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bba/pipe/tar.hpp"
#include "bba/tree/archive_counts.hpp"
#include "bba/tree/archive_rules.hpp"
#include "bba/tree/host_walk.hpp"

namespace bba::tree {

// Checks the content of some files of an archive as they pass.
class FileCheck {
 public:
  virtual ~FileCheck() = default;
  // Told of each entry. True: the content of this file is wanted.
  virtual bool entry(const std::string& below, const pipe::TarEntry& entry) = 0;
  virtual void data(const Chunk& chunk) = 0;
  virtual void file_end() = 0;
  // After the archive's end: throws Error{capture} where something is missing in it.
  virtual void finish() = 0;
  // What was found, added to ArtifactRecord::found, and what to warn of.
  virtual void add_found(Json& found) const = 0;
  virtual std::vector<std::string> warnings() const = 0;
  // What to do where a file is not whole.
  virtual std::string hint() const = 0;
};

// Throws Error{capture} that names the first entry that is missing, unexpected or different.
class ArchiveCheck : public pipe::TarVisitor {
 public:
  // `files` may be null; otherwise it must outlive this.
  explicit ArchiveCheck(ArchiveRules rules, FileCheck* files = nullptr);
  bool entry(const pipe::TarEntry& entry) override;
  void data(const Chunk& chunk) override;
  void entry_end() override;
  // After the tar's own end: nothing may be left on the host that the tar does not have.
  void finish();

  const ArchiveCounts& counts() const noexcept { return counts_; }

 private:
  void compare(const HostEntry& host, const pipe::TarEntry& tar);
  // The same with the tar's entry of its path where that has come already; else it waits for it.
  void compare_or_wait(HostEntry host);
  std::optional<HostEntry> next_host();
  std::string difference(const HostEntry& host, const pipe::TarEntry& tar) const;
  std::string shown(const std::string& below) const;
  std::optional<std::string> below_root(const std::string& tar_path) const;
  void require_target(const pipe::TarEntry& link, const std::string& below) const;
  bool changed_lately(const HostEntry& host) const;
  void count_change(const std::string& below);
  void require_unchanged(const std::string& below);
  template <class Action>
  void look_into(const Action& action);

  ArchiveRules rules_;
  FileCheck* files_;
  HostWalk walk_;
  std::string base_;
  ArchiveCounts counts_;
  timespec began_{};                         // what is dated later was written since
  std::optional<std::string> current_file_;  // whose content is passing
  std::optional<std::string> looked_into_;   // by files_
  std::uint64_t changed_before_ = 0;         // counts_.changed when it began
  std::map<std::string, HostEntry> only_host_;
  std::map<std::string, pipe::TarEntry> only_tar_;
};

}  // namespace bba::tree
