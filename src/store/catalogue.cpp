#include "bba/store/catalogue.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <set>
#include <sys/file.h>
#include <tuple>

#include "bba/base/error.hpp"
#include "bba/base/text.hpp"

namespace bba::store {

namespace {

constexpr std::size_t most_bytes = 16 << 20;

using Key = std::pair<std::string, Timestamp>;  // of one set

struct Files {
  std::vector<std::string> artifacts;
  std::string manifest;
  std::string receipt;
};

struct Listing {
  std::map<Key, Files> sets;
  std::vector<std::string> partials;
};

Listing list(const OwnedDirectory& directory, const std::string& module) {
  Listing listing;
  std::error_code error;
  // Through the descriptor, so that it is the very directory that was checked.
  const std::string path = fmt::format("/proc/self/fd/{}", directory.fd());
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (module.empty() && is_partial_name(file)) listing.partials.push_back(file);
    const auto parsed = parse_name(file);
    if (!parsed || (!module.empty() && parsed->module != module)) continue;
    Files& files = listing.sets[{parsed->module, parsed->time}];
    if (parsed->is_manifest()) {
      files.manifest = file;
    } else if (parsed->is_receipt()) {
      files.receipt = file;
    } else {
      files.artifacts.push_back(file);
    }
  }
  if (error) throw system_error(ErrorKind::storage, directory.path(), error.value());
  return listing;
}

std::string read_text(const OwnedDirectory& directory, const std::string& file) {
  return read_rest(directory.open_file(file).get(), most_bytes, ErrorKind::storage, file);
}

BackupSet read_set(const OwnedDirectory& directory, const Key& key, const Files& files) {
  BackupSet set;
  set.manifest_file = files.manifest;
  set.manifest_text = read_text(directory, files.manifest);
  set.manifest = manifest_from_json(set.manifest_text);
  if (set.manifest.module != key.first) {
    throw Error(ErrorKind::artifact,
                fmt::format("it is of module {}, not of {}", set.manifest.module, key.first));
  }
  for (const std::string& file : set_files(set.manifest)) {
    if (!directory.contains(file)) set.missing.push_back(file);
  }
  return set;
}

// A run that is alive holds its dot-file.
bool is_abandoned(const OwnedDirectory& directory, const std::string& partial) {
  const Fd file(::openat(directory.fd(), partial.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  return file && ::flock(file.get(), LOCK_SH | LOCK_NB) == 0;
}

void read_receipt(const OwnedDirectory& directory, const std::string& file, BackupSet& set,
                  std::vector<Orphan>& orphans) {
  try {
    set.receipt = parse_json(read_text(directory, file));
    if (set.receipt && set.receipt->is_object()) return;
    set.receipt.reset();
    orphans.push_back({.file = file, .why = "it cannot be read: not a JSON object"});
  } catch (const Error& error) {
    orphans.push_back({.file = file, .why = fmt::format("it cannot be read: {}", error.what())});
  }
}

}  // namespace

Catalogue read_catalogue(const OwnedDirectory& directory, const std::string& module) {
  const Listing listing = list(directory, module);
  Catalogue catalogue;
  std::set<std::string> named;
  std::map<Key, std::string> broken;  // why the set's manifest cannot be read
  for (const auto& [key, files] : listing.sets) {
    if (files.manifest.empty()) continue;
    try {
      BackupSet set = read_set(directory, key, files);
      for (const std::string& file : set_files(set.manifest)) named.insert(file);
      if (!files.receipt.empty()) read_receipt(directory, files.receipt, set, catalogue.orphans);
      catalogue.sets.push_back(std::move(set));
    } catch (const Error& error) {
      broken[key] = error.what();
      catalogue.orphans.push_back(
          {.file = files.manifest, .why = fmt::format("it cannot be read: {}", error.what())});
    }
  }
  for (const auto& [key, files] : listing.sets) {
    const auto why_broken = broken.find(key);
    const std::string why = why_broken == broken.end()
                                ? "no manifest names it"
                                : "its manifest cannot be read: " + why_broken->second;
    const bool abandoned = files.manifest.empty();
    for (const std::string& artifact : files.artifacts) {
      if (!named.contains(artifact)) catalogue.orphans.push_back({artifact, why, abandoned});
    }
    const bool has_set = !abandoned && why_broken == broken.end();
    if (!files.receipt.empty() && !has_set) {
      catalogue.orphans.push_back({files.receipt, why, abandoned});
    }
  }
  for (const std::string& partial : listing.partials) {
    if (is_abandoned(directory, partial)) {
      catalogue.orphans.push_back({partial, "a run was killed before it was complete", true});
    }
  }
  std::sort(catalogue.sets.begin(), catalogue.sets.end(), [](const auto& a, const auto& b) {
    // Names of one module differ in their timestamp alone, so their order is that of time.
    return std::tie(a.manifest.module, b.manifest_file) <
           std::tie(b.manifest.module, a.manifest_file);
  });
  std::sort(catalogue.orphans.begin(), catalogue.orphans.end(),
            [](const auto& a, const auto& b) { return a.file < b.file; });
  return catalogue;
}

}  // namespace bba::store
