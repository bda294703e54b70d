// What every command works with: the settings in force, the engine, the request to stop, and where
// to tell the operator what happens.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bba/base/stop.hpp"
#include "bba/conf/config.hpp"
#include "bba/docker/engine.hpp"

namespace bba::ops {

// How far one artifact is.
struct Progress {
  std::string label;                      // "postgres: pg_dumpall"
  std::uint64_t bytes = 0;                // read so far
  std::optional<std::uint64_t> expected;  // about how many there will be
};

// The operator's screen. The terminal is one (cli/terminal.hpp), tests have another.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void progress(const Progress& progress) = 0;  // often: the reporter decides what is shown
  virtual void progress_end() = 0;
  virtual void note(const std::string& text) = 0;    // worth knowing; not shown with -q
  virtual void detail(const std::string& text) = 0;  // only with -v
  virtual void warning(const std::string& text) = 0;
};

// The settings in force: command line over configuration over defaults.
struct Settings {
  conf::Config config;
  std::string platform_root;
  std::string backup_dir;
  std::string state_dir;
  std::string proof_dir;
  std::string host;  // the engine's address, unix:///...
  docker::Limits limits;
  std::map<std::string, std::string>
      environment;  // the operator's: VAULT_TOKEN, MINIO_MC_ALIAS, ...
};

struct Session {
  Settings settings;
  const Stop& stop;
  Reporter& reporter;
  docker::Engine engine;
};

}  // namespace bba::ops
