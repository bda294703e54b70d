#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/pipe/tar.hpp"
#include "bba/tree/archive_counts.hpp"
#include "bba/tree/host_walk.hpp"
#include "parts.hpp"

namespace bba::capture {

namespace {

pipe::TarEntry tar_entry(const tree::HostEntry& host, const std::string& base) {
  const struct stat& status = host.status;
  pipe::TarEntry entry;
  entry.path = host.path.empty() ? base : base + "/" + host.path;
  entry.type = tree::tar_type(status.st_mode);
  entry.mode = status.st_mode & 07777;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = status.st_mtim.tv_sec;
  entry.link = host.link;
  entry.dev_major = major(status.st_rdev);
  entry.dev_minor = minor(status.st_rdev);
  if (entry.type == pipe::TarType::file) entry.size = static_cast<std::uint64_t>(status.st_size);
  return entry;
}

// Copies a file's content. Throws where the file has changed since `expected` was taken.
void copy_content(const std::string& path, const struct stat& expected, pipe::TarWriter& tar,
                  const ProgressFn& moved, const Stop& stop) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw system_error(ErrorKind::capture, path, errno);
  std::array<std::byte, 256 * 1024> buffer{};
  std::uint64_t left = static_cast<std::uint64_t>(expected.st_size);
  while (left > 0) {
    stop.throw_if_requested();
    const ssize_t count =
        ::read(file.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), left));
    if (count < 0) {
      if (errno == EINTR) continue;
      throw system_error(ErrorKind::capture, path, errno);
    }
    if (count == 0) break;
    tar.data(ByteView(buffer.data(), static_cast<std::size_t>(count)));
    left -= static_cast<std::uint64_t>(count);
    moved(static_cast<std::size_t>(count));
  }
  struct stat after {};
  if (::fstat(file.get(), &after) != 0) throw system_error(ErrorKind::capture, path, errno);
  if (left > 0 || after.st_size != expected.st_size ||
      after.st_mtim.tv_sec != expected.st_mtim.tv_sec ||
      after.st_mtim.tv_nsec != expected.st_mtim.tv_nsec) {
    throw Error(ErrorKind::capture, path + " changed while it was read",
                "try again when nothing writes there, or leave it out with excludes");
  }
}

}  // namespace

service::PartFindings capture_directory(const CaptureContext& context,
                                        const service::HostDirectory& directory, ArtifactSink& sink,
                                        const ProgressFn& moved) {
  const std::string base = base_name(directory.path);
  const auto skip = [&](const std::string& below) {
    const std::string path = directory.path + "/" + below;
    return std::any_of(directory.excludes.begin(), directory.excludes.end(),
                       [&](const std::string& pattern) { return glob_match(pattern, path); });
  };
  tree::ArchiveCounts counts;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names;
  pipe::TarWriter tar(sink.count);
  tree::HostWalk walk(directory.path, skip, [](const std::string&) { return false; });
  while (const std::optional<tree::HostEntry> host = walk.next()) {
    context.session.stop.throw_if_requested();
    const struct stat& status = host->status;
    if (host->path.empty() && !S_ISDIR(status.st_mode)) {
      throw Error(ErrorKind::capture,
                  fmt::format("{} is a {}, not the directory that it was", directory.path,
                              tree::type_name(tree::tar_type(status.st_mode))));
    }
    if (S_ISSOCK(status.st_mode)) {
      ++counts.sockets;
      continue;
    }
    if (host->user_xattrs) ++counts.user_xattrs;
    if (host->acl) ++counts.acls;
    pipe::TarEntry entry = tar_entry(*host, base);
    if (S_ISREG(status.st_mode) && status.st_nlink > 1) {
      const auto [known, is_new] =
          first_names.emplace(std::pair{status.st_dev, status.st_ino}, entry.path);
      if (!is_new) {
        entry.type = pipe::TarType::hard_link;
        entry.link = known->second;
        entry.size = 0;
      }
    }
    tar.begin(entry);
    if (entry.size > 0) {
      copy_content(host->path.empty() ? directory.path : directory.path + "/" + host->path, status,
                   tar, moved, context.session.stop);
    }
    tar.end();
    counts.add(entry.type, entry.size);
  }
  tar.finish();
  sink.count.finish();
  return {tree::found_json(counts), tree::archive_warnings(directory.path, counts)};
}

}  // namespace bba::capture
