// `prune`: removes old sets, and never the newest good one of a module. The manifest goes first, so
// that a prune that is killed leaves files that no manifest names, and no manifest that names what
// is gone. Where it is asked to, it removes such files too.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bba/run/session.hpp"

namespace bba::commands {

struct PruneRequest {
  std::string module;  // empty: all
  // A set that one of the two keeps is kept. With neither no set is removed.
  std::optional<std::size_t> keep_last = {};
  std::optional<std::chrono::seconds> keep_within = {};
  bool force = false;  // also remove sets that fail verify
  // Also remove what killed runs and prunes left an hour ago or more: files of no set. Dot-files
  // only where `module` is empty, as their names have none.
  bool orphans = false;
  // Also remove what restores have parked: after that they cannot be undone.
  bool parked = false;
  bool dry_run = false;
  Timestamp at = now();
  // Told after each file that was removed.
  std::function<void(const std::string& file)> removed = [](const std::string&) {};
};

struct PrunedSet {
  std::string module;
  std::string module_class;
  Timestamp started{};
  std::string manifest_file;
  std::uint64_t bytes = 0;
  bool kept = true;
  std::string why;  // "one of the last 3", "older than all that is to be kept"
};

struct PrunedOrphan {
  std::string file;
  std::uint64_t bytes = 0;
  bool kept = true;
  std::string why;  // "no manifest names it"
};

struct PrunedParked {
  std::string module;
  Timestamp time{};                  // of the restore
  std::string what;                  // "what the service had before the restore"
  std::vector<std::string> removed;  // volumes and directories; none of a restore in place
};

struct Pruning {
  std::vector<PrunedSet> sets;        // by module, newest first; none where no rule was given
  std::vector<PrunedOrphan> orphans;  // none where they were not asked for
  std::vector<PrunedParked> parked;   // none where they were not asked for
  bool dry_run = false;
  bool needs_hand = false;  // an earlier run left something that could not be put right
};

// Throws Error{usage} where the request removes nothing, Error{busy} where another run holds one of
// the modules: then nothing was removed.
Pruning prune(run::Session& session, const PruneRequest& request);

std::string pruning_text(const Pruning& pruning);
Json pruning_json(const Pruning& pruning);

}  // namespace bba::commands
