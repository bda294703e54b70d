// What `verify` found: of an artifact, of a set, and of all that were read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bba/commands/set_head.hpp"

namespace bba::commands {

struct ArtifactVerdict {
  std::string file;
  std::string kind;
  std::uint64_t bytes = 0;
  std::string holds;   // "sql: 5 databases"; empty where it is broken
  std::string broken;  // what is wrong, and at which offset; empty: it is whole
};

struct SetVerdict : SetHead {
  std::string manifest_sha256;  // empty where the manifest cannot be read
  std::string broken;           // what is wrong with the manifest itself
  std::vector<ArtifactVerdict> artifacts;

  bool good() const;
  // The first broken thing, "file: what at byte N"; empty where all is good.
  std::string first_broken() const;
};

struct Verification {
  std::vector<SetVerdict> sets;    // newest first
  std::vector<std::string> notes;  // files that belong to no set

  std::string first_broken() const;
};

}  // namespace bba::commands
