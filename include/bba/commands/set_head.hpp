// What every command says of a set that it shows, by its manifest alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bba/base/json.hpp"
#include "bba/base/time.hpp"
#include "bba/store/catalogue.hpp"

namespace bba::commands {

struct SetHead {
  std::string module;
  // As in the manifest; empty where it cannot be read.
  std::string module_class;
  std::string strategy;
  std::optional<std::string> fallback;
  std::string purpose;  // of a safety set
  std::uint64_t changed_while_read = 0;
  std::vector<std::string> incomplete;
  Timestamp started{};
  std::string manifest_file;
};

SetHead head_of(const store::BackupSet& set);

// All but the manifest's name.
Json to_json(const SetHead& head);

}  // namespace bba::commands
