#include "bba/run/exchange.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "bba/base/error.hpp"
#include "bba/base/fd.hpp"
#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/store/trusted_directory.hpp"

namespace bba::run {

namespace {

constexpr ErrorKind capture = ErrorKind::capture;
constexpr std::size_t most_mountinfo = 16 << 20;

// The directory that `path` lies in, in which nobody but root can rename anything.
Fd open_parent(const std::string& path) {
  Fd parent = store::open_trusted(parent_of(path), ::geteuid(), capture);
  if (!parent) throw system_error(capture, parent_of(path), ENOENT);
  return parent;
}

std::optional<struct stat> status_in(const Fd& parent, const std::string& path) {
  struct stat status {};
  if (::fstatat(parent.get(), base_name(path).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return status;
  }
  if (errno == ENOENT) return std::nullopt;
  throw system_error(capture, path, errno);
}

FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino};
}

struct stat require_directory(const std::string& path) {
  const auto status = status_in(open_parent(path), path);
  if (!status) throw system_error(capture, path, ENOENT);
  if (!S_ISDIR(status->st_mode)) throw Error(capture, path + " is not a directory");
  return *status;
}

void sync_directory_of(const std::string& path) {
  const Fd directory(::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) {
    throw system_error(capture, "syncing " + parent_of(path), errno);
  }
}

// --- mountinfo

struct MountLine {
  std::string_view device;  // "8:1"
  std::string root;         // of the mount within its file system
  std::string at;           // in the process's namespace
};

// Blanks are written as \040.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ptr ==
            text.data() + i + 4) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<MountLine> mount_lines(std::string_view mountinfo) {
  std::vector<MountLine> lines;
  for (const std::string_view line : split(mountinfo, '\n')) {
    // "36 35 98:0 /root /at options ..."
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.size() > 5) lines.push_back({words[2], unescaped(words[3]), unescaped(words[4])});
  }
  return lines;
}

std::string own_mounts() {
  return read_small_file("/proc/self/mountinfo", most_mountinfo, capture);
}

std::string joined(const std::string& directory, std::string_view below) {
  return (directory == "/" ? std::string() : directory) + std::string(below);
}

}  // namespace

std::optional<FileId> file_id(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return id_of(status);
  if (errno == ENOENT) return std::nullopt;
  throw system_error(capture, path, errno);
}

Json to_json(const ExchangePair& pair) {
  const auto id = [](const FileId& one) {
    return Json{{"device", one.device}, {"inode", one.inode}};
  };
  return {{"live", pair.live},
          {"built", pair.built},
          {"live_id", id(pair.live_id)},
          {"built_id", id(pair.built_id)}};
}

std::optional<ExchangePair> exchange_pair_from(const Json& json) {
  const auto id = [&](std::string_view key) -> std::optional<FileId> {
    const Json* one = member(json, key);
    if (one == nullptr) return std::nullopt;
    const auto device = size_member(*one, "device");
    const auto inode = size_member(*one, "inode");
    if (!device || !inode) return std::nullopt;
    return FileId{*device, *inode};
  };
  const auto live = string_member(json, "live");
  const auto built = string_member(json, "built");
  const auto live_id = id("live_id");
  const auto built_id = id("built_id");
  if (!live || !built || !live_id || !built_id) return std::nullopt;
  return ExchangePair{*live, *built, *live_id, *built_id};
}

PairState state_of(const ExchangePair& pair) {
  const auto live = file_id(pair.live);
  const auto built = file_id(pair.built);
  if (live == pair.live_id && built == pair.built_id) return PairState::before;
  if (live == pair.built_id && built == pair.live_id) return PairState::exchanged;
  return PairState::neither;
}

void require_exchangeable(const std::string& directory) {
  const struct stat status = require_directory(directory);
  const auto above = file_id(parent_of(directory));
  const std::string own = own_mounts();
  const std::vector<MountLine> mounts = mount_lines(own);
  const bool is_mount_point = !above || above->device != status.st_dev ||
                              std::any_of(mounts.begin(), mounts.end(), [&](const MountLine& line) {
                                return line.at == directory;
                              });
  if (is_mount_point) {
    throw Error(capture, directory + " is a mount point: it cannot be exchanged in one step");
  }
}

void require_exchangeable(const std::string& live, const std::string& built) {
  require_exchangeable(live);
  require_exchangeable(built);
  if (file_id(live)->device != file_id(built)->device) {
    throw Error(capture, fmt::format("{} and {} are on two file systems: they cannot be exchanged "
                                     "in one step",
                                     live, built));
  }
}

void exchange(const ExchangePair& pair) {
  const Fd live_parent = open_parent(pair.live);
  const Fd built_parent = open_parent(pair.built);
  const auto is = [](const Fd& parent, const std::string& path, const FileId& id) {
    const auto status = status_in(parent, path);
    return status && id_of(*status) == id;
  };
  const bool as_noted =
      (is(live_parent, pair.live, pair.live_id) && is(built_parent, pair.built, pair.built_id)) ||
      (is(live_parent, pair.live, pair.built_id) && is(built_parent, pair.built, pair.live_id));
  if (!as_noted) {
    throw Error(capture, fmt::format("{} and {} are not the directories that they were", pair.live,
                                     pair.built));
  }
  if (::renameat2(live_parent.get(), base_name(pair.live).c_str(), built_parent.get(),
                  base_name(pair.built).c_str(), RENAME_EXCHANGE) != 0) {
    throw system_error(capture, fmt::format("exchanging {} and {}", pair.live, pair.built), errno);
  }
  sync_directory_of(pair.live);
  sync_directory_of(pair.built);
}

std::optional<std::string> mounted_anywhere(const std::string& directory) {
  const std::string own = own_mounts();
  // Where the directory lies in its file system: the last of the innermost mounts hides the others.
  std::optional<MountLine> holder;
  for (MountLine& line : mount_lines(own)) {
    if (lies_within(directory, line.at) && (!holder || line.at.size() >= holder->at.size())) {
      holder = std::move(line);
    }
  }
  if (!holder) throw Error(capture, "no file system holds " + directory);
  const std::string_view below =
      std::string_view(directory).substr(holder->at == "/" ? 0 : holder->at.size());
  const std::string root = joined(holder->root, below);

  std::set<std::string> seen;  // mount namespaces
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const std::string process = it->path().filename().string();
    if (process.find_first_not_of("0123456789") != process.npos) continue;
    const std::string folder = "/proc/" + process;
    std::error_code gone;
    const std::string space = std::filesystem::read_symlink(folder + "/ns/mnt", gone).string();
    if (gone || !seen.insert(space).second) continue;
    try {
      const std::string text = read_small_file(folder + "/mountinfo", most_mountinfo, capture);
      for (const MountLine& line : mount_lines(text)) {
        if (line.device != holder->device || !lies_within(line.root, root)) continue;
        const std::string name = read_small_file(folder + "/comm", 4096, capture);
        return fmt::format("process {} ({}) at {}", process, trimmed(name), line.at);
      }
    } catch (const Error&) {
      // The process has ended; another of its namespace may still be there.
      seen.erase(space);
    }
  }
  if (error) throw system_error(capture, "/proc", error.value());
  return std::nullopt;
}

}  // namespace bba::run
