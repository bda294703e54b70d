// `list`: what is in the backup directory, without reading the artifacts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bba/commands/set_head.hpp"
#include "bba/run/restore_record.hpp"
#include "bba/run/session.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

struct ListedSet : SetHead {
  std::vector<std::string> artifacts;
  std::uint64_t bytes = 0;          // as stored
  std::uint64_t content_bytes = 0;  // uncompressed
  std::string proof;                // verified (as it was taken), drilled, failed, or broken
  std::string broken;               // what is missing, edited, or of another size
  std::string failed;               // what its last drill did not bring back
};

struct Listing {
  std::vector<ListedSet> sets;  // by module, newest first
  std::vector<store::Orphan> orphans;
  std::vector<run::ParkedState> parked;  // newest first
};

// `module` empty: all of them.
Listing list(const run::Session& session, const std::string& module);

std::string list_text(const Listing& listing, Timestamp at);
Json list_json(const Listing& listing, Timestamp at);

}  // namespace bba::commands
