#include "conditions.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/magic.h>
#include <map>
#include <sys/statfs.h>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"
#include "bba/services/registry.hpp"
#include "bba/tree/host_path.hpp"

namespace bba::commands {

namespace {

constexpr const char* by_hand = "restore it by hand: the manifest has the commands";
constexpr std::uint64_t least_margin = std::uint64_t{256} << 20;

const wire::Mount& mount_at(const wire::Container& live, const std::string& destination) {
  const auto mount =
      std::find_if(live.mounts.begin(), live.mounts.end(),
                   [&](const wire::Mount& one) { return one.destination == destination; });
  if (mount != live.mounts.end()) return *mount;
  throw Error(ErrorKind::container,
              fmt::format("{} is not a mount of {} any more", destination, live.name), by_hand);
}

// A volume whose data the engine mounts only while it is used is an empty directory otherwise.
void require_plain_volume(docker::Engine& engine, const wire::Container& live,
                          const wire::Mount& mount) {
  const auto volume = engine.find_volume(mount.name);
  if (!volume) {
    throw Error(ErrorKind::container, fmt::format("volume {} is gone", mount.name),
                "make an empty one: docker volume create " + mount.name);
  }
  const auto has_option = [&](const char* name) {
    return volume->options.contains(name) && !volume->options.at(name).empty();
  };
  if (volume->driver != "local" || has_option("device") || has_option("type")) {
    throw Error(ErrorKind::container,
                fmt::format("volume {} is not a plain one of the local driver: its directory on "
                            "this host cannot be exchanged",
                            mount.name),
                by_hand);
  }
  const Json* mounts = member(live.host_config, "Mounts");
  if (mounts == nullptr || !mounts->is_array()) return;
  for (const Json& one : *mounts) {
    const Json* options = member(one, "VolumeOptions");
    if (options == nullptr || string_member(one, "Target") != mount.destination) continue;
    if (string_member(*options, "Subpath").value_or("").empty()) continue;
    throw Error(ErrorKind::container,
                fmt::format("{} is a part of volume {} only", mount.destination, mount.name),
                by_hand);
  }
}

// The directory that the service uses: where it runs, it must see the very one that this host does.
run::FileId directory_of(const wire::Container& present, const service::ExchangePlace& place) {
  const auto here = run::file_id(place.host_path);
  if (!here) {
    throw Error(
        ErrorKind::container,
        fmt::format("{} is not on this host: is the engine another host's?", place.host_path),
        by_hand);
  }
  if (!present.running || present.pid <= 0) return *here;
  for (const wire::Mount& mount : present.mounts) {
    if (tree::resolved(mount.source) != place.host_path) continue;
    const auto seen =
        run::file_id(fmt::format("/proc/{}/root{}/.", present.pid, mount.destination));
    if (seen == here) continue;
    throw Error(ErrorKind::container,
                fmt::format("{} has another directory at {} than {}", present.name,
                            mount.destination, place.host_path),
                by_hand);
  }
  return *here;
}

// Here it says something of the container's mounts; later, that the restore failed.
void require_exchangeable(const std::string& directory) {
  try {
    run::require_exchangeable(directory);
  } catch (Error& error) {
    error.with_kind(ErrorKind::container);
    if (error.hint().empty()) error.with_hint(by_hand);
    throw;
  }
}

std::uint64_t wanted_bytes(const store::Manifest& manifest, const store::ArtifactRecord& record) {
  std::uint64_t bytes = record.uncompressed_bytes;
  // With its indexes a database is larger than its dump.
  std::uint64_t databases = 0;
  if (const Json* list = member(manifest.facts, "databases"); list != nullptr && list->is_array()) {
    for (const Json& one : *list) databases += size_member(one, "bytes").value_or(0);
  }
  return std::max(bytes, databases);
}

}  // namespace

std::vector<restore::RestorePart> restore_parts(run::Session& session, const store::BackupSet& set,
                                                const wire::Container& container,
                                                const wire::Container& present) {
  std::vector<restore::RestorePart> parts;
  for (const store::ArtifactRecord& record : set.manifest.artifacts) {
    with_context(record.file, [&] {
      const service::ArtifactKind& kind = services::require_kind(record.kind);
      const auto destination = kind.exchanged_mount(container, record);
      if (!destination && kind.goes_in_place()) {
        throw Error(ErrorKind::container,
                    "it goes back by the service's own means, while the service runs, and not in "
                    "one step",
                    fmt::format("look at `backup-before-apply restore {} --in-place --dry-run`",
                                set.manifest.module));
      }
      if (!destination) {
        throw Error(ErrorKind::container,
                    "it goes back by the service's own means, which restore does not do", by_hand);
      }
      const wire::Mount& mount = mount_at(container, *destination);
      if (mount.type == "volume") require_plain_volume(session.engine, container, mount);
      const service::ExchangePlace place{container, record, *destination,
                                         tree::resolved(mount.source), &container != &present};
      for (const restore::RestorePart& other : parts) {
        if (other.place.host_path == place.host_path) {
          throw Error(ErrorKind::container,
                      fmt::format("it goes to the same directory as {}", other.place.record.file),
                      by_hand);
        }
      }
      const run::FileId directory = directory_of(present, place);
      require_exchangeable(place.host_path);
      kind.require_exchangeable(place, nullptr);
      parts.push_back({&kind, place, directory});
    });
  }
  return parts;
}

void require_mounts(run::Session& session, const wire::Container& container) {
  for (const wire::Mount& mount : container.mounts) {
    const bool is_volume = mount.type == "volume";
    const bool is_there = is_volume ? session.engine.find_volume(mount.name).has_value()
                          : mount.type == "bind" ? run::file_id(mount.source).has_value()
                                                 : true;
    if (is_there) continue;
    throw Error(ErrorKind::container,
                fmt::format("{} {}, which the container that was backed up has at {}, is gone",
                            is_volume ? "volume" : "directory",
                            is_volume ? mount.name : mount.source, mount.destination),
                is_volume
                    ? "bring it back or, if it may be empty, docker volume create " + mount.name
                    : "bring it back or, if it may be empty, mkdir " + mount.source);
  }
}

void require_room_beside(const store::Manifest& manifest,
                         const std::vector<restore::RestorePart>& parts,
                         std::map<std::uint64_t, std::uint64_t>& wanted) {
  for (const restore::RestorePart& part : parts) {
    std::uint64_t& bytes = wanted[part.directory.device];
    bytes += wanted_bytes(manifest, part.place.record);
    struct statfs status {};
    const std::string& path = part.place.host_path;
    if (::statfs(path.c_str(), &status) != 0) {
      throw system_error(ErrorKind::storage, path, errno);
    }
    const std::uint64_t room =
        static_cast<std::uint64_t>(status.f_bavail) * static_cast<std::uint64_t>(status.f_bsize);
    if (room > least_margin && (room - least_margin) / 11 * 10 >= bytes) continue;
    throw Error(
        ErrorKind::storage,
        fmt::format("the file system of {} has {} free, and that is too little for a second "
                    "copy of {}",
                    path, format_bytes(room), format_bytes(bytes)),
        "make room: what is restored is built beside what is there");
  }
}

void require_lasting_state(const std::string& state_directory) {
  struct statfs status {};
  if (::statfs(state_directory.c_str(), &status) != 0) {
    throw system_error(ErrorKind::storage, state_directory, errno);
  }
  if (status.f_type != TMPFS_MAGIC && status.f_type != RAMFS_MAGIC) return;
  throw Error(ErrorKind::storage,
              fmt::format("{} is in memory: after a power loss nobody would know how far a restore "
                          "has come",
                          state_directory),
              "set state_dir to a directory on a disk");
}

}  // namespace bba::commands
