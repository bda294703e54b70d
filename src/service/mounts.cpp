#include "bba/service/mounts.hpp"

#include <algorithm>
#include <array>

#include "bba/base/path.hpp"
#include "bba/base/text.hpp"

namespace bba::service {

namespace {

struct Reason {
  MountVerdict verdict;
  std::string why;
};

// Why a mount is left out; nullopt where it is taken.
std::optional<Reason> left_out_because(const wire::Mount& mount, tree::SourceKind source) {
  constexpr std::array kernel{"/proc", "/sys", "/dev"};
  if (mount.type == "tmpfs") {
    return Reason{MountVerdict::tmpfs, "tmpfs: gone with the container anyway"};
  }
  if (mount.type != "volume" && mount.type != "bind") {
    return Reason{MountVerdict::other_type,
                  fmt::format("type {}: holds no data of this host", mount.type)};
  }
  if (mount.type == "volume") return std::nullopt;
  if (mount.source.ends_with("/docker.sock")) {
    return Reason{MountVerdict::engine_socket, "the Docker Engine's socket"};
  }
  if (source == tree::SourceKind::other) {
    return Reason{MountVerdict::not_data, "a socket or a device, not data"};
  }
  for (const std::string_view path : kernel) {
    if (lies_within(mount.source, path) || lies_within(mount.destination, path)) {
      return Reason{MountVerdict::kernel_view, fmt::format("a view of the kernel ({})", path)};
    }
  }
  if (!mount.rw) {
    return Reason{MountVerdict::read_only_bind,
                  "a read-only bind: this container does not change it"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<MountChoice> choose_mounts(const std::vector<wire::Mount>& mounts,
                                       const std::vector<tree::SourceKind>& sources) {
  std::vector<MountChoice> choices;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    MountChoice choice{.mount = mounts[i], .source = sources.at(i)};
    if (auto reason = left_out_because(mounts[i], sources[i])) {
      choice.verdict = reason->verdict;
      choice.why = std::move(reason->why);
    } else {
      const bool volume = mounts[i].type == "volume";
      choice.taken = true;
      choice.verdict = volume ? MountVerdict::volume : MountVerdict::writable_bind;
      choice.why = !volume        ? "a writable bind"
                   : mounts[i].rw ? "a volume"
                                  : "a volume, though read-only here";
    }
    choices.push_back(std::move(choice));
  }
  std::sort(choices.begin(), choices.end(), [](const MountChoice& a, const MountChoice& b) {
    return a.mount.destination < b.mount.destination;
  });
  return choices;
}

std::vector<MountChoice> mounts_of(const wire::Container& container) {
  std::vector<wire::Mount> mounts = container.mounts;
  // The engine does not count what --tmpfs made among the mounts.
  if (const Json* tmpfs = member(container.host_config, "Tmpfs")) {
    for (const auto& [destination, options] : tmpfs->items()) {
      mounts.push_back({.type = "tmpfs", .name = {}, .source = {}, .destination = destination});
    }
  }
  std::vector<tree::SourceKind> sources;
  for (const wire::Mount& mount : mounts) sources.push_back(tree::source_kind(mount.source));
  return choose_mounts(mounts, sources);
}

void resolve_sources(std::vector<wire::Mount>& mounts) {
  for (wire::Mount& mount : mounts) {
    if (!mount.source.empty()) mount.source = tree::resolved(mount.source);
  }
}

std::string part_name(const std::string& path, const std::vector<std::string>& taken) {
  std::string base;
  for (const char c : path) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (plain) {
      base += c;
    } else if (!base.empty() && base.back() != '-') {
      base += '-';
    }
  }
  while (base.ends_with('-')) base.pop_back();
  if (base.empty()) base = "root";
  constexpr std::size_t longest = 80;  // file names end at 255 bytes, module and time included
  base.resize(std::min(base.size(), longest));
  std::string name = base;
  for (int n = 2; std::find(taken.begin(), taken.end(), name) != taken.end(); ++n) {
    name = fmt::format("{}-{}", base, n);
  }
  return name;
}

namespace {

// The mount that holds `path`: the innermost one. A tmpfs has no place on this host, and the engine
// does not read it.
const MountChoice* holder_of(const std::string& path, const std::vector<MountChoice>& mounts) {
  const MountChoice* best = nullptr;
  for (const MountChoice& choice : mounts) {
    if (choice.mount.source.empty() || !lies_within(path, choice.mount.destination)) continue;
    if (best == nullptr || choice.mount.destination.size() > best->mount.destination.size()) {
      best = &choice;
    }
  }
  return best;
}

}  // namespace

std::optional<wire::Mount> mount_holding(const wire::Container& container,
                                         const std::string& path) {
  const std::vector<MountChoice> mounts = mounts_of(container);
  const MountChoice* const holder = holder_of(path, mounts);
  if (holder == nullptr) return std::nullopt;
  return holder->mount;
}

void narrow_to_paths(std::vector<std::string>& paths, std::vector<MountChoice>& mounts,
                     const std::string& otherwise) {
  const std::vector<std::string> asked = std::move(paths);
  paths.clear();
  const auto add = [&](const std::string& path) {
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
  };
  for (const std::string& path : asked) add(path);
  for (MountChoice& choice : mounts) {
    const std::string& destination = choice.mount.destination;
    const auto held = std::find_if(asked.begin(), asked.end(), [&](const std::string& path) {
      return holder_of(path, mounts) == &choice;
    });
    const bool below = std::any_of(asked.begin(), asked.end(), [&](const std::string& path) {
      return lies_within(destination, path);
    });
    if (held != asked.end()) {
      if (!choice.taken) {
        choice.why = "holds " + *held;
        choice.verdict = MountVerdict::holds_path;
      }
      choice.taken = true;
    } else if (choice.taken && below) {
      add(destination);
    } else if (choice.taken) {
      choice.taken = false;
      choice.why = otherwise;
      choice.verdict = MountVerdict::not_asked_for;
    }
  }
}

std::vector<PathArchive> path_archives(const Target& target,
                                       const std::vector<MountChoice>& mounts) {
  std::vector<PathArchive> archives;
  if (!target.settings.paths.empty()) {
    for (const std::string& path : target.settings.paths) {
      PathArchive archive{path, {}, target.settings.excludes};
      // A path inside a mount is seen on the host there.
      if (const MountChoice* mount = holder_of(path, mounts)) {
        archive.host_path = mount->mount.source + path.substr(mount->mount.destination.size());
      }
      archives.push_back(std::move(archive));
    }
  } else {
    for (const MountChoice& choice : mounts) {
      if (!choice.taken) continue;
      archives.push_back({choice.mount.destination, choice.mount.source, target.settings.excludes});
    }
  }
  for (PathArchive& archive : archives) {
    for (const MountChoice& choice : mounts) {
      const std::string& inner = choice.mount.destination;
      if (inner != archive.path && lies_within(inner, archive.path)) {
        archive.nested.push_back(inner);
      }
    }
  }
  return archives;
}

std::vector<Quiesced> sharing_containers(const std::vector<wire::ContainerSummary>& all,
                                         const std::string& target_id,
                                         const std::vector<MountChoice>& mounts) {
  const auto shares = [&](const wire::ContainerSummary& container) {
    if (container.id == target_id) return true;
    for (const wire::Mount& theirs : container.mounts) {
      for (const MountChoice& ours : mounts) {
        // Monitoring mounts the whole host; a container that only reads may go on.
        if (!ours.taken || !theirs.rw) continue;
        if (theirs.type == "volume" && ours.mount.type == "volume") {
          if (!theirs.name.empty() && theirs.name == ours.mount.name) return true;
        } else if (!theirs.source.empty() && !ours.mount.source.empty() && theirs.type != "tmpfs" &&
                   (lies_within(theirs.source, ours.mount.source) ||
                    lies_within(ours.mount.source, theirs.source))) {
          return true;
        }
      }
    }
    return false;
  };
  std::vector<Quiesced> sharing;
  for (const wire::ContainerSummary& container : all) {
    const bool can_be_paused = container.state == "running" || container.state == "paused";
    if (can_be_paused && shares(container)) {
      sharing.push_back({container.id, wire::name_of(container)});
    }
  }
  // The target first: it is the one whose state is read.
  std::stable_partition(sharing.begin(), sharing.end(),
                        [&](const Quiesced& one) { return one.id == target_id; });
  return sharing;
}

}  // namespace bba::service
