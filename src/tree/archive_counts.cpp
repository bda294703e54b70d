#include "bba/tree/archive_counts.hpp"

#include "bba/base/text.hpp"

namespace bba::tree {

void ArchiveCounts::add(pipe::TarType type, std::uint64_t size) {
  switch (type) {
    case pipe::TarType::file:
      ++files;
      break;
    case pipe::TarType::directory:
      ++directories;
      break;
    case pipe::TarType::symlink:
      ++symlinks;
      break;
    case pipe::TarType::hard_link:
      ++hard_links;
      break;
    default:
      ++others;
  }
  content_bytes += size;
}

Json found_json(const ArchiveCounts& counts) {
  Json found = {
      {"entries",
       counts.files + counts.directories + counts.symlinks + counts.hard_links + counts.others},
      {"files", counts.files},
      {"directories", counts.directories},
      {"symlinks", counts.symlinks},
      {"hard_links", counts.hard_links},
      {"others", counts.others},
      {"content_bytes", counts.content_bytes},
      {"not_carried",
       {{"sockets", counts.sockets}, {"user_xattrs", counts.user_xattrs}, {"acls", counts.acls}}},
      {"sparse_expanded", counts.sparse}};
  if (counts.changed > 0) found["changed_while_read"] = counts.changed;
  return found;
}

std::vector<std::string> archive_warnings(const std::string& path, const ArchiveCounts& counts) {
  std::vector<std::string> warnings;
  if (counts.user_xattrs > 0) {
    warnings.push_back(
        fmt::format("{}: user.* extended attributes of {} entries are not in the tar", path,
                    counts.user_xattrs));
  }
  if (counts.acls > 0) {
    warnings.push_back(
        fmt::format("{}: POSIX ACLs of {} entries are not in the tar", path, counts.acls));
  }
  if (counts.changed > 0) {
    warnings.push_back(
        fmt::format("{}: {} entries changed while they were read, the first {}: they may be torn",
                    path, counts.changed, counts.first_changed));
  }
  return warnings;
}

}  // namespace bba::tree
