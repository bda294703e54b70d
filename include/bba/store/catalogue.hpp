// What is in the backup directory: sets (a manifest and its artifacts), orphans, receipts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bba/store/artifact_file.hpp"
#include "bba/store/manifest.hpp"

namespace bba::store {

struct BackupSet {
  std::string manifest_file;
  std::string manifest_text;  // as read, byte by byte: for its digest
  Manifest manifest;
  std::vector<std::string> missing;  // artifacts that the manifest names and the directory lacks
  std::optional<Json> receipt;       // of the drill, where there is one
};

struct Orphan {
  std::string file;
  std::string why;  // "no manifest names it", "its manifest cannot be read: ..."
  // What a killed run or prune left: no manifest is there that could name it. All other orphans are
  // what is left of a set that was damaged, and may be worth a look.
  bool abandoned = false;
};

struct Catalogue {
  std::vector<BackupSet> sets;  // by module, newest first
  std::vector<Orphan> orphans;
};

// Reads every manifest (at most 16 MiB each) of `module`, or of all where it is empty. A broken
// file is an orphan, never an error. Files that are not named like ours are left out, and so are
// hidden ones, save the dot-files of runs that were killed.
Catalogue read_catalogue(const OwnedDirectory& directory, const std::string& module = {});

}  // namespace bba::store
